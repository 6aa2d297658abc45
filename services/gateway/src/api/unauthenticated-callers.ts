import { type ConnectionLimits, createConnectionLimits, createGuessLimits } from '@evenfall/api-limits';
import { createRepeats, type Log } from '@evenfall/telemetry';

/** Limits on callers that have shown no valid key. One for all APIs, because limits are by address and an address may use all of them. */
export type UnauthenticatedCallers = {
  readonly connections: ConnectionLimits;
  /** Notes a wrong key; returns how many milliseconds its answer is to be delayed. */
  reportWrongKey(address: string | undefined, api: string): number;
};

export type UnauthenticatedCount = { delayedAnswer(): void; refusedConnection(): void };

/** A message about an address is logged once in this time, with a count. */
const LOG_INTERVAL_MS = 60_000;

export function createUnauthenticatedCallers(
  bounds: { readonly maxConnections: number; readonly maxConnectionsPerAddress: number },
  log: Log,
  count: UnauthenticatedCount,
): UnauthenticatedCallers {
  const repeats = createRepeats(LOG_INTERVAL_MS);
  const guesses = createGuessLimits();
  const warn = (kind: string, address: string, message: string, api?: string): void => {
    const times = repeats.note(`${kind} ${address}`);
    if (times !== undefined) log.warn(message, { address, api, times });
  };
  const connections = createConnectionLimits({ total: bounds.maxConnections, perAddress: bounds.maxConnectionsPerAddress }, (address) => {
    count.refusedConnection();
    warn('connection', address, 'too many connections; new ones are closed');
  });
  return {
    connections,
    reportWrongKey(address, api) {
      const delayMs = guesses.failed(address);
      if (delayMs > 0) {
        count.delayedAnswer();
        warn('guess', address ?? 'unknown', 'several wrong access keys in a row; answers are delayed', api);
      } else warn('key', address ?? 'unknown', 'a wrong access key', api);
      return delayMs;
    },
  };
}
