const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * What lets a launched process go on to its program: the function's own variables, as native/README.md describes them. They come this late and this
 * way because what starts the function may still be root, and variables such as `LD_PRELOAD` are orders to it.
 */
export function releaseBytes(variables: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(variables).map(([name, value]) => {
    if (!NAME.test(name)) throw new Error(`The variable "${name}" has a name no shell can set`);
    if (value.includes('\0')) throw new Error(`The variable "${name}" has a zero byte in its value`);
    return `${name}=${value}\0`;
  });
  const text = Buffer.from(entries.join(''));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(text.length);
  return Buffer.concat([head, text]);
}
