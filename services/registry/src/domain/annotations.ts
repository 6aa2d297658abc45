import { invalid } from './fields.ts';

const MAX_BYTES = 4 * 1024;
const NAME = /^[\w./-]{1,100}$/;

/** Refuses annotations that are more than notes: too many, or with names that no tool would choose. */
export function checkAnnotations(annotations: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(annotations)) {
    if (!NAME.test(name)) throw invalid(`annotations.${name.slice(0, 60)}`, 'a name of 1 to 100 letters, digits, "-", "_", "." and "/"');
    if (value.includes('\0')) throw invalid(`annotations.${name}`, 'a value cannot hold a NUL character');
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (bytes > MAX_BYTES) throw invalid('annotations', `at most ${MAX_BYTES} bytes of names and values; these are ${bytes}`);
}
