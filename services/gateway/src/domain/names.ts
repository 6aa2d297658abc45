import { refuse } from '@evenfall/errors';

/** What a namespace or a function may be called. */
export const NAME = /^[a-zA-Z](?:[a-zA-Z0-9_-]{0,58}[a-zA-Z0-9])$/;
export const NAME_RULE = '2 to 60 letters, digits, "-" and "_", starting with a letter and ending in a letter or digit';
export const QUALIFIER = /^(?:\$LATEST|\$DEFAULT|[0-9]{1,9}|[a-zA-Z](?:[a-zA-Z0-9_-]{0,62}[a-zA-Z0-9])?)$/;

export const QUALIFIER_RULE = '"$LATEST", "$DEFAULT", a version number or the name of an alias';

/** The qualifier that is meant when none is given. */
export const LATEST = '$LATEST';
/** SCF's word for what a function runs where nothing else is said. */
export const DEFAULT = '$DEFAULT';

/** Refuses what cannot be the name of a function in a namespace (SCF, CreateFunction). */
export function checkFunctionName(namespace: string, name: string): void {
  if (!NAME.test(namespace)) throw refuse('INVALID_NAME', { field: 'namespace', value: shown(namespace), rule: NAME_RULE });
  if (!NAME.test(name)) throw refuse('INVALID_NAME', { field: 'function', value: shown(name), rule: NAME_RULE });
}

/** Refuses what cannot be the name of a namespace. */
export function checkNamespace(namespace: string): void {
  if (!NAME.test(namespace)) throw refuse('INVALID_NAME', { field: 'namespace', value: shown(namespace), rule: NAME_RULE });
}

/** The qualifier meant; refuses what cannot be one. */
export function qualifierOf(text: string): string {
  if (text === '') return LATEST;
  if (!QUALIFIER.test(text)) {
    throw refuse('INVALID_NAME', {
      field: 'qualifier',
      value: shown(text),
      rule: QUALIFIER_RULE,
    });
  }
  return text;
}

/** What a caller sent, cut so that an answer stays small. */
function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
