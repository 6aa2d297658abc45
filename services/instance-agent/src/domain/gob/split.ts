import { GobFault } from './read.ts';

/**
 * Cuts a byte stream into messages: a length, then as many bytes. Large ones are gathered as a list and joined once. Throws GobFault for a
 * length that cannot be one.
 */
export function gobSplitter(maxBytes: number, onMessage: (content: Buffer) => void): (chunk: Buffer) => void {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wanted = 1;
  return (chunk) => {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < wanted) return;
    const bytes = held.length === 1 ? chunk : Buffer.concat(held, heldBytes);
    let at = 0;
    wanted = 1;
    while (at < bytes.length) {
      const head = headOf(bytes, at);
      const end = head === undefined ? undefined : at + head.size + head.length;
      if (head && head.length > maxBytes) throw new GobFault(`a message has ${head.length} bytes`);
      if (!head || end === undefined || end > bytes.length) {
        wanted = end === undefined ? bytes.length - at + 1 : end - at;
        break;
      }
      onMessage(bytes.subarray(at + head.size, end));
      at = end;
    }
    const rest = bytes.subarray(at);
    held = rest.length === 0 ? [] : [rest];
    heldBytes = rest.length;
  };
}

/** Size of the number that begins a message, and the number; undefined if it is not all there. */
function headOf(bytes: Buffer, at: number): { readonly size: number; readonly length: number } | undefined {
  const first = bytes[at] ?? 0;
  if (first < 128) return { size: 1, length: first };
  const count = 256 - first;
  if (count > 4) throw new GobFault('the length of a message has more than 4 bytes');
  if (at + 1 + count > bytes.length) return undefined;
  return { size: 1 + count, length: bytes.readUIntBE(at + 1, count) };
}
