import { OperatorError } from '@evenfall/errors';
import type { Running } from './start-in-order.ts';

export type MainOptions = {
  /** Starts everything; what it throws is printed and ends the program with code 1. Of an `OperatorError` only its sentence. */
  readonly start: () => Promise<Running>;
  /** How long stopping may take before the program leaves anyway, with code 1. */
  readonly stopWithinMs: number;
};

/**
 * Runs a program until SIGINT or SIGTERM, then stops it in order. A second signal leaves at once. What nobody caught ends the program: its
 * state is unknown, and whatever starts it again finds the truth in the log.
 */
export async function runMain(options: MainOptions): Promise<void> {
  const fatal = (error: unknown): never => {
    process.stderr.write(`${describe(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  const stopRequested = new Promise<void>((resolve) => {
    const onSignal = (): void => {
      process.once('SIGINT', () => process.exit(130));
      process.once('SIGTERM', () => process.exit(143));
      resolve();
    };
    process.once('SIGINT', onSignal);
    process.once('SIGTERM', onSignal);
  });
  const running = await options.start().catch(fatal);
  await stopRequested;
  const late = setTimeout(() => fatal(new Error(`Did not stop within ${options.stopWithinMs} ms`)), options.stopWithinMs);
  await running.stop().catch(fatal);
  clearTimeout(late);
  process.exit(0);
}

function describe(error: unknown): string {
  const forOperator = OperatorError.in(error);
  if (forOperator) return forOperator.message;
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
