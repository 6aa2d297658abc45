import { createConnection } from 'node:net';

/** A Metadata request, version 5, for no topic: size, key, version, correlation id, no client id, no topics, no creation. */
const METADATA = Buffer.from([0, 0, 0, 15, 0, 3, 0, 5, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0]);
/** Where the answer says how many brokers there are: after size, correlation id and throttle time. */
const BROKER_COUNT_AT = 12;

/** Whether a broker answers, and counts itself among the living. Asked without a client library: none is allowed here. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: 1_000 });
    let got = Buffer.alloc(0);
    const done = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.on('connect', () => socket.write(METADATA));
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk]);
      if (got.length >= BROKER_COUNT_AT + 4) done(got.readInt32BE(BROKER_COUNT_AT) > 0);
    });
    socket.on('timeout', () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
  });
}
