/**
 * A failure that the operator has to resolve before the program can go on: free a port, name another folder. Its message is one sentence for
 * the operator, and is shown without a stack.
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
