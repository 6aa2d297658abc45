/** Who has to do something about a failure, and with it what happens next. */
export type ErrorClass = 'NONE' | 'USER' | 'SYSTEM' | 'THROTTLED' | 'CALLER';

/** Failures of the function's own: code, timeout, memory, exit, handler, answer. */
const USER = new Set([407, 430, 433, 434, 437, 439, 443]);
const THROTTLED = new Set([429, 432]);
const CALLER = new Set([400, 406, 435, 442]);

/** Sorts a status code into its class; an unknown code is a fault of the platform. */
export function errorClassOf(statusCode: number): ErrorClass {
  if (statusCode === 200) return 'NONE';
  if (USER.has(statusCode)) return 'USER';
  if (THROTTLED.has(statusCode)) return 'THROTTLED';
  return CALLER.has(statusCode) ? 'CALLER' : 'SYSTEM';
}
