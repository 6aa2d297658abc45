import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Key of Produce in the Kafka protocol. */
const PRODUCE = 0;

/** A proxy between clients and a broker that advertises it. It can lose answers. */
export type Proxy = {
  readonly port: number;
  /** The broker's own port. */
  forwardTo(port: number): void;
  /** Drops the answer to the next Produce request. Resolves once it has. */
  swallowProduceAnswer(): Promise<void>;
  close(): void;
};

export async function startProxy(): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let brokerPort = 0;
  let isArmed = false;
  let swallowed: () => void = () => undefined;

  const server = createServer((client) => {
    const broker = connect(brokerPort, '127.0.0.1');
    const dropped = new Set<number>();
    for (const socket of [client, broker]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined); // its close ends the other side
    }
    client.on('close', () => broker.destroy());
    broker.on('close', () => client.destroy());
    // A request: size, key, version, correlation id. An answer: size, correlation id.
    frames(client, (frame) => {
      if (isArmed && frame.readInt16BE(4) === PRODUCE) {
        isArmed = false;
        dropped.add(frame.readInt32BE(8));
      }
      broker.write(frame);
    });
    frames(broker, (frame) => {
      if (dropped.delete(frame.readInt32BE(4))) swallowed();
      else client.write(frame);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    forwardTo(port) {
      brokerPort = port;
    },
    swallowProduceAnswer() {
      isArmed = true;
      return new Promise((resolve) => {
        swallowed = resolve;
      });
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Cuts a stream into messages that begin with their size. */
function frames(socket: Socket, handle: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]); // no encoding was set
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const size = 4 + rest.readInt32BE(0);
      handle(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  });
}
