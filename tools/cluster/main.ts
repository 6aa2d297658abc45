// npm run start:cluster: every service as a process of its own, on this machine. `-- --help` says what can be chosen.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { type Cluster, type ClusterOptions, type ClusterProcess, startCluster } from './cluster.ts';

const HELP = `npm run start:cluster -- [options]

  --log embedded|kafka   where the events are; default kafka where it can be run (Java 17)
  --queues N             replicas of the queue; default 2 with kafka, and 1 with the embedded log
  --event-stores N       replicas of the event-store; default 1
  --agents N             worker hosts, all on this machine; default 2
  --data-dir FOLDER      default EVENFALL_DATA_DIR, else .evenfall/cluster
  --restart              start a process again that ends by itself

Settings of the services are taken from the environment, as EVENFALL_HTTP_PORT=8080.
`;

const { values } = parseArgs({
  options: {
    log: { type: 'string' },
    queues: { type: 'string' },
    'event-stores': { type: 'string' },
    agents: { type: 'string' },
    'data-dir': { type: 'string' },
    restart: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** Those that mean one process, or one folder, and not all of them. */
const NOT_FOR_ALL = [
  'EVENFALL_HOST',
  'EVENFALL_HTTP_PORT',
  'EVENFALL_GRPC_PORT',
  'EVENFALL_METRICS_PORT',
  'EVENFALL_ACCESS_KEYS',
  'EVENFALL_OPEN',
  'EVENFALL_DATA_DIR',
  'EVENFALL_AGENT_NAME',
  'EVENFALL_AGENT_DATA_DIR',
  'EVENFALL_POSTGRES_URL',
  'EVENFALL_KAFKA_BROKERS',
  'EVENFALL_STOP_ON_STDIN_END',
  'EVENFALL_TLS_CA',
  'EVENFALL_TLS_CERT',
  'EVENFALL_TLS_KEY',
];

function optionsOf(env: NodeJS.ProcessEnv): ClusterOptions {
  const ours = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[0].startsWith('EVENFALL_') && !/_ADDRESS(ES)?$/.test(entry[0]) && entry[1] !== undefined,
  );
  const addresses = ours.filter(([name]) => /^EVENFALL_(HOST|HTTP_PORT|GRPC_PORT|METRICS_PORT|ACCESS_KEYS|OPEN)$/.test(name));
  const noKafka = values.log === undefined ? whyNoKafka() : undefined;
  if (noKafka !== undefined) process.stderr.write(`The events are in Postgres, and there is one queue: ${noKafka}.\n`);
  const log = values.log ?? (noKafka === undefined ? 'kafka' : 'embedded');
  if (log !== 'embedded' && log !== 'kafka') throw new RangeError(`--log is embedded or kafka, not ${log}`);
  const queues = countOf('queues', values.queues);
  const eventStores = countOf('event-stores', values['event-stores']);
  const agents = countOf('agents', values.agents);
  return {
    dataDir: values['data-dir'] ?? join(env['EVENFALL_DATA_DIR'] ?? '.evenfall', 'cluster'),
    keyDir: env['EVENFALL_DATA_DIR'] ?? '.evenfall', // where `npm start` keeps it, too
    log,
    tls: true,
    ...(queues === undefined ? {} : { queues }),
    ...(eventStores === undefined ? {} : { eventStores }),
    ...(agents === undefined ? {} : { agents }),
    env: Object.fromEntries(ours.filter(([name]) => !NOT_FOR_ALL.includes(name))),
    envOf: {
      gateway: { EVENFALL_HTTP_PORT: '8080', EVENFALL_GRPC_PORT: '9090', EVENFALL_METRICS_PORT: '9464', ...Object.fromEntries(addresses) },
    },
    restart: values.restart,
    onLine: (name, line) => void process.stderr.write(`${name.padEnd(11)} ${line}\n`),
    onDeath: ({ name }, exit) =>
      void process.stderr.write(`${name.padEnd(11)} ended by itself (${exit})${values.restart ? '; starting it again' : ''}\n`),
  };
}

function countOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d?$/.test(text)) throw new RangeError(`--${name} is a number from 1 to 99, not ${text}`);
  return Number(text);
}

function tableOf(processes: readonly ClusterProcess[]): string {
  const rows = processes.map(({ name, pid, addresses }) => {
    const { metrics = '', http, grpc, agent, url, brokers } = addresses;
    const where = [http, grpc && `grpc ${grpc}`, agent && 'dials the scheduler', url && 'unix socket', brokers].filter(Boolean).join(', ');
    return [name, String(pid), where, metrics && `${metrics}/metrics`];
  });
  const all = [['PROCESS', 'PID', 'WHERE', 'METRICS'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function stop(cluster: Cluster): Promise<void> {
  const exits = await cluster.stop();
  process.exit([...exits.values()].every((exit) => exit === 0) ? 0 : 1);
}

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(HELP);
  // Before it has started there is nothing to stop in order: the processes see the end of their stdin, and stop by themselves.
  let onSignal = (): unknown => process.exit(130);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => onSignal());
  const cluster = await startCluster(optionsOf(process.env));
  onSignal = () => {
    onSignal = () => process.exit(130);
    return stop(cluster);
  };
  const key = cluster.accessKeyFile ? `evenfall key: in ${cluster.accessKeyFile}\n` : '';
  process.stdout.write(`${tableOf(cluster.processes)}\n\n${key}evenfall cluster ready http=${cluster.http} grpc=${cluster.grpc}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
