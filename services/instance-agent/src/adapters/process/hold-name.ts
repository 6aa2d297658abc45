import { createServer } from 'node:net';

/** Takes a name of this host for as long as this process lives, or until it is given back; undefined if somebody has it. A name that begins with a zero byte is in the kernel's own name space: no file is left over. */
export function holdName(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', () => resolve(undefined));
    server.listen(name, () => resolve(() => void server.close()));
  });
}
