import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answers } from './answers.ts';
import { kafkaJars } from './jars.ts';

export type KafkaOptions = {
  /** Folder for its settings and its data; made if missing. A second start on it goes on with the same data, and on the same ports. */
  readonly dir: string;
  /** Port for clients, on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Port that the broker advertises to clients, where a proxy is in between. Default: the broker's own. */
  readonly advertisedPort?: number;
  /** A second listener, with TLS and a name and a password. */
  readonly secure?: SecureListener;
};

export type SecureListener = {
  readonly port: number;
  /** PKCS 12 file with the broker's key and certificate, and its password. */
  readonly keystore: { readonly file: string; readonly password: string };
  /** Who may come in, by SASL PLAIN or SCRAM. */
  readonly user: { readonly name: string; readonly password: string };
  /** Whether that user may do only what the brokers' lists allow; a client of the plain port may do everything. */
  readonly hasAccessLists?: boolean;
};

/** A real Apache Kafka, one node, that belongs to this process: when the process is gone, however it went, so is the broker. */
export type KafkaServer = {
  /** `host:port`, for EVENFALL_KAFKA_BROKERS. */
  readonly brokers: string;
  /** Port it listens on. */
  readonly port: number;
  /** Process id of the broker; another one after a restart. */
  readonly pid: number;
  /** Resolves if the broker ends without being stopped. */
  readonly died: Promise<Error>;
  /** Ends it in order. Twice is once. */
  stop(): Promise<void>;
  /** Ends it as a power cut would; its data stays. */
  kill9(): Promise<void>;
  /** Starts it again on the same ports and data, after `stop` or `kill9`. */
  restart(): Promise<void>;
  /** Stops it from doing anything; it keeps its connections (SIGSTOP). */
  pause(): void;
  resume(): void;
};

/** How long a start may take on a machine that has other things to do. */
const START_MS = 60_000;
/** Says `STARTED` when it has come up: an answer at its port may be another broker's that took the port before it. */
const SERVER = 'kafka.server.KafkaRaftServer';
const STARTED = 'Kafka Server started';
const JAVA = [
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  `-Dorg.slf4j.simpleLogger.log.${SERVER}=info`,
];

/** Starts a broker and waits until it answers. Fetches it first, if need be. */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const java = ['java', ...JAVA, '-cp', join(await kafkaJars(), '*')];
  const settings = join(options.dir, 'server.properties');
  mkdirSync(options.dir, { recursive: true });
  const made = existsSync(settings);
  let port = 0;
  for (let tries = 1; ; tries++) {
    port = made ? portOf(settings) : await writeSettings(settings, options);
    if (!existsSync(join(options.dir, 'data', 'meta.properties'))) await format(java, settings, options.secure?.user);
    try {
      return await serve(java, settings, port, options.advertisedPort ?? port);
    } catch (error) {
      // Another process took one of the ports between the check and the start.
      if (made || options.port !== undefined || tries === 3) throw error;
    }
  }
}

async function serve(java: readonly string[], settings: string, port: number, advertisedPort: number): Promise<KafkaServer> {
  let isStopping = false;
  let unexpected: (error: Error) => void;
  const died = new Promise<Error>((resolve) => (unexpected = resolve));
  const start = async (): Promise<Broker> => {
    isStopping = false;
    const broker = await run([...java, 'kafka.Kafka', settings]);
    void broker.exited.then((error) => {
      if (!isStopping) unexpected(error);
    });
    const until = performance.now() + START_MS;
    while (!(await answers(port))) {
      const ended = await Promise.race([broker.exited, sleep(50)]);
      if (ended) throw ended;
      if (performance.now() < until) continue;
      isStopping = true;
      broker.signal('SIGKILL');
      throw new Error(`Kafka does not answer after ${START_MS} ms:\n${broker.said()}`);
    }
    return broker;
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    isStopping = true;
    broker.signal(signal);
    broker.signal('SIGCONT');
    const late = setTimeout(() => broker.signal('SIGKILL'), 20_000);
    await broker.exited;
    clearTimeout(late);
  };
  let broker = await start();
  return {
    brokers: `127.0.0.1:${advertisedPort}`,
    port,
    died,
    get pid() {
      return broker.pid;
    },
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    async restart() {
      broker = await start();
    },
    pause: () => broker.signal('SIGSTOP'),
    resume: () => broker.signal('SIGCONT'),
  };
}

type Broker = {
  readonly pid: number;
  readonly exited: Promise<Error>;
  said(): string;
  hasStarted(): boolean;
  signal(signal: NodeJS.Signals): void;
};

/**
 * A shell between us and the broker reads our end of a pipe: when we are gone, even by SIGKILL, it reads the end of it and kills the broker.
 * (`setpriv --pdeathsig` does the same on Linux only.) It says the broker's process id on descriptor 3.
 */
const KEEPER = `exec 4<&0; "$@" 4<&- 3>&- </dev/null & broker=$!; echo $broker >&3; exec 3>&-
{ while read -r line <&4; do :; done; kill -9 $broker; } >/dev/null 2>&1 & keeper=$!
wait $broker; code=$?; kill $keeper; exit $code`;

async function run(command: readonly string[]): Promise<Broker> {
  // Its own session: a Ctrl-C in the terminal is for the process that started it.
  const child = spawn('sh', ['-c', KEEPER, 'sh', ...command], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'], detached: true });
  let text = '';
  let started = false;
  child.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-4_096);
    started ||= text.includes(STARTED);
  });
  const exited = new Promise<Error>((resolve) => {
    child.once('error', resolve);
    child.once('exit', (code) => {
      child.stdin?.destroy();
      resolve(new Error(`Kafka has ended (${code}):\n${text.trim()}`));
    });
  });
  const pid = await Promise.race([exited, new Promise<number>((resolve) => child.stdio[3]?.once('data', (id) => resolve(Number(id))))]);
  if (pid instanceof Error) throw pid;
  let ended = false;
  void exited.then(() => (ended = true));
  return {
    pid,
    exited,
    said: () => text,
    hasStarted: () => started,
    signal(signal) {
      try {
        if (!ended) process.kill(pid, signal);
      } catch {
        // it has ended, and its exit event has not come yet
      }
    },
  };
}

async function writeSettings(file: string, options: KafkaOptions): Promise<number> {
  const [port, controllerPort] = [options.port ?? (await freePort()), await freePort()];
  const { secure } = options;
  const lines: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${options.advertisedPort ?? port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': join(options.dir, 'data'),
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // One that was killed may register again once its former self counts as gone.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
    // Tests want a member that is gone to be noticed soon.
    'group.min.session.timeout.ms': '1000',
    'log.cleaner.dedupe.buffer.size': '16777216',
    ...(secure ? secureLines(secure, port, controllerPort) : {}),
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, text.join(''));
  return port;
}

function secureLines(
  { port, keystore, user, hasAccessLists = false }: SecureListener,
  plainPort: number,
  controllerPort: number,
): Record<string, string> {
  return {
    listeners: `PLAINTEXT://127.0.0.1:${plainPort},SECURE://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${plainPort},SECURE://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL',
    'inter.broker.listener.name': 'PLAINTEXT',
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': keystore.file,
    'ssl.keystore.password': keystore.password,
    'ssl.key.password': keystore.password,
    'listener.name.secure.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256',
    'listener.name.secure.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${user.name}="${user.password}";`,
    'listener.name.secure.scram-sha-256.sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    ...(hasAccessLists
      ? { 'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer', 'super.users': 'User:ANONYMOUS' }
      : {}),
  };
}

function portOf(settings: string): number {
  return Number(/^listeners=PLAINTEXT:\/\/127\.0\.0\.1:(\d+)/m.exec(readFileSync(settings, 'utf8'))?.[1]);
}

async function format(java: readonly string[], settings: string, user: SecureListener['user'] | undefined): Promise<void> {
  const id = randomBytes(16).toString('base64url').replace(/^-/, 'A'); // no option
  const scram = user ? ['--add-scram', `SCRAM-SHA-256=[name=${user.name},password=${user.password}]`] : [];
  const tool = await run([...java, 'kafka.tools.StorageTool', 'format', '--ignore-formatted', '-t', id, '-c', settings, ...scram]);
  const ended = await tool.exited;
  if (!/\(0\)/.test(ended.message)) throw new Error(`Kafka's storage could not be formatted: ${ended.message}`);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}
