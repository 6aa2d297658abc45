import { invalidField, type Refusal } from '@evenfall/errors';
import { ANNOTATIONS_BYTES, ENVIRONMENT_BYTES } from './limits.ts';

type TextMap = Readonly<Record<string, string>>;

/** What an environment variable may be called. */
export const VARIABLE_NAME = /^[a-zA-Z][a-zA-Z0-9_]*$/;
/** Beginnings of names that the runtimes set themselves, in any case of letters. */
export const RESERVED_PREFIXES = ['SCF_', 'QCLOUD_', 'TENCENTCLOUD_', 'EVENFALL_'] as const;
/** What an annotation may be called. */
export const ANNOTATION_NAME = /^[\w./-]{1,100}$/;

/** Why variables cannot be given to a process, or would hide the platform's own: INVALID_FIELD. */
export function environmentRefusal(environment: TextMap): Refusal | undefined {
  return textMapRefusal('environment', environment, ENVIRONMENT_BYTES, (name) => {
    if (!VARIABLE_NAME.test(name)) return 'a name of letters, digits and "_" that starts with a letter';
    const reserved = RESERVED_PREFIXES.find((prefix) => name.toUpperCase().startsWith(prefix));
    return reserved && `names that start with ${reserved} belong to the platform`;
  });
}

/** Why annotations are more than notes, too many or with names that no tool would choose: INVALID_FIELD. */
export function annotationsRefusal(annotations: TextMap): Refusal | undefined {
  return textMapRefusal('annotations', annotations, ANNOTATIONS_BYTES, (name) =>
    ANNOTATION_NAME.test(name) ? undefined : 'a name of 1 to 100 letters, digits, "-", "_", "." and "/"',
  );
}

function textMapRefusal(
  field: string,
  texts: TextMap,
  mostBytes: number,
  ruleBroken: (name: string) => string | undefined,
): Refusal | undefined {
  let bytes = 0;
  for (const [name, value] of Object.entries(texts)) {
    const at = `${field}.${name.slice(0, 60)}`;
    const rule = ruleBroken(name);
    if (rule) return invalidField(at, rule);
    if (value.includes('\0')) return invalidField(at, 'a value cannot hold a NUL character');
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes > mostBytes ? invalidField(field, `at most ${mostBytes} bytes of names and values; these are ${bytes}`) : undefined;
}
