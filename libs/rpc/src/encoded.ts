const BYTES = Symbol('bytes');

/**
 * A message that is there as bytes: a server sends these as they are, and a reader of a field in the same process gets it decoded. For answers
 * that are put together from stored bytes, and mostly passed on. `decode` is called once, with the first look.
 */
export function encodedMessage<T extends object>(bytes: Uint8Array, decode: (bytes: Uint8Array) => T): T {
  let message: T | undefined;
  const decoded = (): T => (message ??= decode(bytes));
  return new Proxy<T>({} as T, {
    get(_, name) {
      if (name === BYTES) return bytes;
      // Every promise it goes through asks whether it is one; no message has such a field.
      return name === 'then' ? undefined : Reflect.get(decoded(), name);
    },
    has: (_, name) => name in decoded(),
    ownKeys: () => Reflect.ownKeys(decoded()),
    getOwnPropertyDescriptor: (_, name) => {
      const found = Reflect.getOwnPropertyDescriptor(decoded(), name);
      return found && { ...found, configurable: true }; // as a proxy must say of what its target does not have
    },
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
  });
}

/** Serializes a message, unless it is there as bytes. */
export function serializing(serialize: (message: never) => Buffer): (message: unknown) => Buffer {
  return (message) => {
    const bytes = (message as { readonly [BYTES]?: Uint8Array })[BYTES];
    return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : serialize(message as never);
  };
}
