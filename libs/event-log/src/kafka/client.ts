import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import kafkajs, { type ISocketFactory, type Kafka as KafkaClient, type KafkaConfig } from 'kafkajs';
import type { Log } from '@evenfall/telemetry';
import { repairKafkajs } from './kafkajs-repairs.ts';
import type { KafkaConnection } from './options.ts';

/** One use of kafkajs: a producer, a reader or a questioner, with connections of its own. */
export type Client = {
  readonly kafka: KafkaClient;
  /**
   * Cuts every connection and lets none be made again. What is under way fails at once instead of after its timeout, and what kafkajs
   * would still try in the background goes nowhere: a record that was refused does not appear in the log minutes later.
   */
  kill(): void;
};

export type ClientOptions = {
  readonly connection: KafkaConnection;
  readonly requestTimeoutMs: number;
  readonly retry: NonNullable<KafkaConfig['retry']>;
  readonly log: Log;
};

const CONNECT_MS = 3_000;

export function createClient({ connection, requestTimeoutMs, retry, log }: ClientOptions): Client {
  repairKafkajs();
  const sockets = new Set<Socket>();
  let isDead = false;
  const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (isDead) throw new Error('This client was given up');
    const socket = ssl
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
      : connectTcp({ host, port }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const kafka = new kafkajs.Kafka({
    clientId: 'evenfall',
    brokers: [...connection.brokers],
    ...(connection.tls ? { ssl: connection.tls } : {}),
    ...(connection.sasl ? { sasl: connection.sasl as NonNullable<KafkaConfig['sasl']> } : {}), // its three mechanisms have the same fields
    connectionTimeout: CONNECT_MS,
    authenticationTimeout: CONNECT_MS,
    requestTimeout: requestTimeoutMs,
    retry,
    socketFactory,
    logLevel: kafkajs.logLevel.WARN,
    // It says "error" of everything it tries again; what matters is reported where it fails for good.
    logCreator:
      () =>
      ({ namespace, log: { message, error } }) =>
        log.debug(`kafkajs ${namespace}: ${message}`, { error: error === undefined ? undefined : String(error) }),
  });
  return {
    kafka,
    kill() {
      isDead = true;
      // Without an error kafkajs would not notice: it listens to `end` and `error` only.
      for (const socket of sockets) socket.destroy(new Error('This client was given up'));
    },
  };
}
