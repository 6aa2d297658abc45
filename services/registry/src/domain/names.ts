import { refuse } from '@evenfall/errors';

const NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,58}[a-zA-Z0-9]$/;
const RULE = '2 to 60 letters, digits, "-" and "_", starting with a letter and ending in a letter or digit';

/** The number `$LATEST` has where versions are numbers. */
export const LATEST_NUMBER = 0;

/** Refuses what cannot be a name (SCF, CreateFunction: FunctionName). */
export function checkNames(namespace: string, name?: string): void {
  if (!NAME.test(namespace)) throw refuse('INVALID_NAME', { field: 'namespace', value: namespace.slice(0, 80), rule: RULE });
  if (name !== undefined && !NAME.test(name)) throw refuse('INVALID_NAME', { field: 'function', value: name.slice(0, 80), rule: RULE });
}

/** The number of the version a qualifier names, or undefined where it can name none. `$DEFAULT` is `$LATEST` until aliases say otherwise. */
export function versionNumberOf(qualifier: string): number | undefined {
  if (qualifier === '' || qualifier === '$LATEST' || qualifier === '$DEFAULT') return LATEST_NUMBER;
  return /^[1-9]\d{0,8}$/.test(qualifier) ? Number(qualifier) : undefined;
}

export function versionName(number: number): string {
  return number === LATEST_NUMBER ? '$LATEST' : String(number);
}
