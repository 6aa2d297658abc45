/** Bytes of the largest code package, zipped (semantics §3). */
export const MAX_CODE_BYTES: number = 50 * 1024 * 1024;

/** Bytes of a request that carries the largest code package in Base64, and the rest of the body. */
export const CODE_REQUEST_BYTES: number = Math.ceil((MAX_CODE_BYTES * 4) / 3) + 1024 * 1024;

/** Reads Base64 strictly (RFC 4648 §4, padded, without line ends); undefined for any other text. */
export function bytesOfBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}
