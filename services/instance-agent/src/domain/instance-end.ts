/** How an instance ended, and with it the attempt it ran. */
export type InstanceEnd =
  /** Its attempt had answered; what it answered is kept beside the state. */
  | { readonly kind: 'ANSWERED' }
  | { readonly kind: 'EXITED'; readonly exitCode: number }
  | { readonly kind: 'DIED_OF'; readonly signal: string }
  | { readonly kind: 'FORCE_KILLED' }
  | { readonly kind: 'TIMED_OUT' }
  /** `detail` is for people; without one it was the memory of its processes. */
  | { readonly kind: 'OUT_OF_MEMORY'; readonly detail?: string }
  | { readonly kind: 'LOST' }
  | { readonly kind: 'DRAINED' }
  | { readonly kind: 'START_FAILED'; readonly fault: StartFault }
  /** Its runtime broke the protocol, or went silent while it lives: it was killed. `reason` is for people. */
  | { readonly kind: 'BROKEN'; readonly reason: string }
  /** It ran no attempt and was stopped in order. */
  | { readonly kind: 'RETIRED' };

/** Why an instance never became ready. */
export type StartFault = {
  readonly statusCode: number;
  readonly message: string;
  /** JSON text, where the runtime wrote it. */ readonly error?: Buffer;
  /** Whether its code package is no longer there: what waits for the instance may run on a newer revision. */ readonly codeMissing?: boolean;
};
