import { OperatorError } from '@evenfall/errors';
import type { Running } from './start-parts.ts';

export type MainOptions<C> = {
  /** Reads the settings; what it throws is printed and ends the program with code 1. */
  readonly read: () => C;
  /**
   * Starts everything; what it throws is printed and ends the program with code 1. Of an `OperatorError` only its sentence. The signal is
   * aborted when the program is to stop before it has started: what it throws then is no failure.
   */
  readonly start: (config: C, signal: AbortSignal) => Promise<Running>;
  /** How long stopping may take before the program leaves anyway, with code 1. */
  readonly stopWithinMs: (config: C) => number;
  /** Resolves when the program is to stop for another reason than a signal. */
  readonly stopRequested?: (config: C) => Promise<void>;
};

/**
 * Runs a program until SIGINT or SIGTERM, then stops it in order. A second signal cuts short what stopping waits for, a further one leaves at
 * once; so does the second where there is nothing to cut short. An uncaught error ends the program: its state is unknown, and the next start
 * finds the truth in the log.
 */
export async function runMain<C>(options: MainOptions<C>): Promise<void> {
  const fatal = (error: unknown): never => {
    process.stderr.write(`${describe(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  const config = readOr(fatal, options.read);
  const stopping = new AbortController();
  let forced: (() => void) | undefined;
  const onFurther = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const force = forced;
    forced = undefined;
    if (force) return force();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  const stopRequested = new Promise<void>((resolve) => {
    const onStop = (): void => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      process.on('SIGINT', onFurther);
      process.on('SIGTERM', onFurther);
      const withinMs = options.stopWithinMs(config);
      setTimeout(() => fatal(new Error(`Did not stop within ${withinMs} ms`)), withinMs);
      resolve();
    };
    process.once('SIGINT', onStop);
    process.once('SIGTERM', onStop);
    void options.stopRequested?.(config).then(onStop);
  });
  const running = await options
    .start(config, stopping.signal)
    .catch((error: unknown) => (stopping.signal.aborted ? process.exit(0) : fatal(error)));
  await stopRequested;
  forced = running.force?.bind(running);
  await running.stop().catch(fatal);
  process.exit(0);
}

function readOr<C>(fatal: (error: unknown) => never, read: () => C): C {
  try {
    return read();
  } catch (error) {
    return fatal(error);
  }
}

function describe(error: unknown): string {
  const forOperator = OperatorError.in(error);
  if (forOperator) return forOperator.message;
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
