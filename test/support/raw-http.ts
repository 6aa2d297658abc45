import { connect } from 'node:net';

/** Sends bytes to an API, which no client library would, and returns all bytes of the answer until the connection closes. */
export function rawHttp(url: string, text: string, withinMs = 10_000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let answer = '';
    const late = setTimeout(() => socket.destroy(new Error(`No end within ${withinMs} ms; so far: ${answer.slice(0, 200)}`)), withinMs);
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('utf8')));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error); // hung up on: what it said before counts
    });
    socket.once('close', () => {
      clearTimeout(late);
      resolve(answer);
    });
    socket.write(text);
  });
}
