import { PACKAGE_LIMITS } from '@evenfall/function-model';

/** Bytes of a request that carries the largest code package in Base64, and the rest of the body. */
export const CODE_REQUEST_BYTES: number = Math.ceil((PACKAGE_LIMITS.maxZipBytes * 4) / 3) + 1024 * 1024;

/** Reads Base64 strictly (RFC 4648 §4, padded, without line ends); undefined for any other text. */
export function bytesOfBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}
