import { isUtf8 } from 'node:buffer';

/**
 * JSON text for bytes that should be JSON: as they are if they are, null if there are none, otherwise as a JSON string, in which bytes that are not
 * UTF-8 are replaced. So a value that a program wrote wrongly, or that was cut, never breaks the document that it is put into.
 */
export function jsonOrString(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'null';
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!isUtf8(bytes)) return JSON.stringify(text);
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
