/** A refusal by the platform, from its error body. */
export type ApiError = {
  readonly code: number;
  readonly status: string;
  readonly message: string;
  readonly details: readonly { readonly reason: string; readonly domain: string; readonly metadata: Readonly<Record<string, string>> }[];
};

/** Something the person at the terminal has to know; ends the command. */
export class Failure extends Error {
  /** 1 refused, 2 wrongly asked. */
  readonly exitCode: 1 | 2;
  readonly apiError: ApiError | undefined;

  constructor(message: string, exitCode: 1 | 2 = 1, apiError?: ApiError) {
    super(message);
    this.name = 'Failure';
    this.exitCode = exitCode;
    this.apiError = apiError;
  }

  /** The reason the platform gave; undefined where it did not come to that. */
  get reason(): string | undefined {
    return this.apiError?.details[0]?.reason;
  }
}

export function usage(message: string): Failure {
  return new Failure(message, 2);
}
