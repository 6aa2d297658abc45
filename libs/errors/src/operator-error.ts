/**
 * Says that a program cannot go on until somebody who runs it has done something: freed a port, named another folder. Its message is one
 * sentence for that person, and all that is shown of it: a stack would tell them nothing.
 */
export class OperatorError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'OperatorError';
  }

  /** The one an error is, or was caused by. */
  static in(error: unknown): OperatorError | undefined {
    for (let at = error; at instanceof Error; at = at.cause) if (at instanceof OperatorError) return at;
    return undefined;
  }
}
