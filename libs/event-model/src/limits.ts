const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * How much of what a function, its runtime or its agent says is kept, in bytes of UTF-8. The agent cuts where it enters; the queue cuts again
 * where it makes a record of it, whatever the agent sent.
 */
export const LIMITS = {
  /** An error's type, its message, and every other text of an error but its stack; the error of a hook. */
  errorTextBytes: 4 * KIB,
  /** The stack of an error. */
  stackBytes: 32 * KIB,
  /** A whole error as JSON text: escapes may make a text six times as long. */
  errorBytes: 64 * KIB,
  /** The result of an asynchronous event. */
  resultBytes: 256 * KIB,
  /** One line of a log. */
  logLineBytes: 8 * KIB,
  /** Lines that a function may write in one attempt, and their bytes. */
  attemptLogLines: 10_000,
  attemptLogBytes: 1 * MIB,
  /** The end of a log that a synchronous call gets with its answer. */
  logTailBytes: 4 * KIB,
  /** A name: of an instance, an agent, a signal. */
  nameBytes: 256,
  /** A reason for people: why a grace period was not extended, why an instance did not start. */
  reasonBytes: 1 * KIB,
  /** Signals, extensions and changes of one receipt, each. */
  receiptEntries: 100,
  /** Errors and receipts of all attempts of one event: the older ones shrink first. */
  attemptsBytes: 256 * KIB,
} as const;

/** A message that carries many (reports, assignments, records) is closed once it holds so much; one larger thing goes alone. */
export const MESSAGE_BYTES: number = 1 * MIB;
