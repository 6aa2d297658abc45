/** Metadata of a call from a gateway: the id of the access key, or of the subject of the token, that the call was made with. */
export const ACCESS_KEY_HEADER = 'evenfall-access-key-id';

/** The header for an id. Metadata is ASCII, and subjects of tokens may be any text. */
export function keyHeader(keyId: string): Readonly<Record<string, string>> {
  return { [ACCESS_KEY_HEADER]: encodeURIComponent(keyId) };
}

/** Reads the id from the header of a call; empty where there is none. Throws if the header is not what `keyHeader` makes. */
export function keyIdOf(header: string | undefined): string {
  return decodeURIComponent(header ?? '');
}
