import { connect } from 'node:net';

/** Says something to a door byte by byte, which no client library would, and answers all it says until it hangs up. */
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
