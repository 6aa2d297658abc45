import { refuse, type Refusal } from '@evenfall/errors';

/** What a namespace or a function may be called (SCF, CreateFunction: FunctionName). */
export const NAME = /^[a-zA-Z](?:[a-zA-Z0-9_-]{0,58}[a-zA-Z0-9])$/;
export const NAME_RULE = '2 to 60 letters, digits, "-" and "_", starting with a letter and ending in a letter or digit';

/** What a caller may write for a version of a function: `$LATEST`, `$DEFAULT`, a number, or the name of an alias. */
export const QUALIFIER = /^(?:\$LATEST|\$DEFAULT|[0-9]{1,9}|[a-zA-Z](?:[a-zA-Z0-9_-]{0,62}[a-zA-Z0-9])?)$/;
export const QUALIFIER_RULE = '"$LATEST", "$DEFAULT", a version number or the name of an alias';

/** The version that changes with every update, and the qualifier that is meant when none is given. */
export const LATEST = '$LATEST';
/** SCF's qualifier for the version that runs where nothing else is said; the same as `$LATEST` here. */
export const DEFAULT_QUALIFIER = '$DEFAULT';
/** The number of `$LATEST` where versions are numbers. */
export const LATEST_NUMBER = 0;
/** The name of a version: `$LATEST`, or the number of a published one. */
export const VERSION = /^(?:\$LATEST|[1-9]\d{0,8})$/;

/** Characters of a refused name that an answer repeats. */
const SHOWN_LENGTH = 80;

/** Why a text cannot be the name of a namespace: INVALID_NAME; undefined if it can. */
export function namespaceRefusal(namespace: string): Refusal | undefined {
  return nameRefusal('namespace', namespace);
}

/** Why two texts cannot name a function in a namespace: INVALID_NAME; undefined if they can. */
export function functionNameRefusal(namespace: string, name: string): Refusal | undefined {
  return nameRefusal('namespace', namespace) ?? nameRefusal('function', name);
}

/** The qualifier that a caller means, `$LATEST` for none; or INVALID_NAME. */
export function completeQualifier(text: string): string | Refusal {
  if (text === '') return LATEST;
  return QUALIFIER.test(text) ? text : refuse('INVALID_NAME', { field: 'qualifier', value: shown(text), rule: QUALIFIER_RULE });
}

/** The number of the version that a qualifier names; undefined where it can name none. `$DEFAULT` is `$LATEST` as long as there are no aliases. */
export function versionNumberOf(qualifier: string): number | undefined {
  if (qualifier === '' || qualifier === LATEST || qualifier === DEFAULT_QUALIFIER) return LATEST_NUMBER;
  return VERSION.test(qualifier) ? Number(qualifier) : undefined;
}

/** The name of a version by its number. */
export function versionName(number: number): string {
  return number === LATEST_NUMBER ? LATEST : String(number);
}

function nameRefusal(field: 'namespace' | 'function', value: string): Refusal | undefined {
  return NAME.test(value) ? undefined : refuse('INVALID_NAME', { field, value: shown(value), rule: NAME_RULE });
}

/** The beginning of what a caller sent, so that an answer stays small. */
function shown(text: string): string {
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}
