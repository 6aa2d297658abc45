import { type ConnectionLimits, createConnectionLimits, createGuessLimits } from '@evenfall/door-limits';
import { createRepeats, type Log } from '@evenfall/telemetry';

/** What the doors know of callers who have shown no key. One for all doors: it is one and the same address that tries them. */
export type Strangers = {
  readonly connections: ConnectionLimits;
  /** Notes a wrong key; answers how many milliseconds its answer is to wait. */
  failed(address: string | undefined, door: string): number;
};

export type StrangersCount = { heldAnswer(): void; refusedConnection(): void };

/** A log says an address once in this time, with a count. */
const SILENCE_MS = 60_000;

export function createStrangers(
  bounds: { readonly maxConnections: number; readonly maxConnectionsPerAddress: number },
  log: Log,
  count: StrangersCount,
): Strangers {
  const repeats = createRepeats(SILENCE_MS);
  const guesses = createGuessLimits();
  const say = (place: string, address: string, message: string, door?: string): void => {
    const times = repeats.note(`${place} ${address}`);
    if (times !== undefined) log.warn(message, { address, door, times });
  };
  const connections = createConnectionLimits({ total: bounds.maxConnections, perAddress: bounds.maxConnectionsPerAddress }, (address) => {
    count.refusedConnection();
    say('connection', address, 'too many connections; new ones are closed');
  });
  return {
    connections,
    failed(address, door) {
      const delayMs = guesses.failed(address);
      if (delayMs > 0) {
        count.heldAnswer();
        say('guess', address ?? 'unknown', 'wrong access keys, one after the other; the answers wait', door);
      } else say('key', address ?? 'unknown', 'a wrong access key', door);
      return delayMs;
    },
  };
}
