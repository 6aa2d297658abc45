import { invalid } from './fields.ts';

const MAX_BYTES = 4 * 1024;
const KEY = /^[a-zA-Z][a-zA-Z0-9_]*$/;
/** Names the runtimes set themselves. */
const RESERVED = ['SCF_', 'QCLOUD_', 'TENCENTCLOUD_', 'EVENFALL_'];

/** Refuses variables a process cannot be given, or that would hide the platform's own. */
export function checkEnvironment(environment: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(environment)) {
    if (!KEY.test(key)) throw invalid(`environment.${key.slice(0, 60)}`, 'a name of letters, digits and "_" that starts with a letter');
    const reserved = RESERVED.find((prefix) => key.toUpperCase().startsWith(prefix));
    if (reserved) throw invalid(`environment.${key.slice(0, 60)}`, `names that start with ${reserved} belong to the platform`);
    if (value.includes('\0')) throw invalid(`environment.${key}`, 'a value cannot hold a NUL character');
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_BYTES) throw invalid('environment', `at most ${MAX_BYTES} bytes of names and values; these are ${bytes}`);
}
