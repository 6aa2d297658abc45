import { choice, flag, integer, isLoopback, list, type SettingsCheck, type SettingsOf, text } from '@evenfall/config';
import { HOST_NAME } from '@evenfall/request-guard';
import { KAFKA_CHECKS, kafkaSettings } from '@evenfall/event-log/kafka/settings';

export { KAFKA_CHECKS, kafkaSettings } from '@evenfall/event-log/kafka/settings';

/** The services that run as processes of their own. */
export type ServiceName = 'gateway' | 'registry' | 'queue' | 'scheduler' | 'event-store' | 'instance-agent';

/** Default ports: all of them can run on one machine. The gateway's gRPC port is the public gRPC API. */
const PORTS: Readonly<Record<ServiceName, { readonly grpc: number; readonly metrics: number }>> = {
  gateway: { grpc: 9090, metrics: 9464 },
  registry: { grpc: 9191, metrics: 9465 },
  queue: { grpc: 9192, metrics: 9466 },
  scheduler: { grpc: 9193, metrics: 9467 },
  'event-store': { grpc: 9194, metrics: 9468 },
  'instance-agent': { grpc: 0, metrics: 9469 },
};

const ADDRESS = /^(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5}$/;
const PORT = { min: 0, max: 65_535 } as const;

export const logLevelSetting = choice({
  name: 'EVENFALL_LOG_LEVEL',
  doc: 'Least important line of the log that is written.',
  fallback: 'info',
  choices: ['debug', 'info', 'warn', 'error'],
});

export const logFormatSetting = choice({
  name: 'EVENFALL_LOG_FORMAT',
  doc: 'Form of the lines of the log: `json` is one JSON object a line, `text` is for reading, `auto` is `text` on a terminal and `json` elsewhere.',
  fallback: 'auto',
  choices: ['auto', 'json', 'text'],
});

export const dataDirSetting = text({
  name: 'EVENFALL_DATA_DIR',
  doc: 'Folder of everything that is kept: the database, the event log, unpacked code.',
  fallback: '.evenfall',
});

export const allowedHostsSetting = list({
  name: 'EVENFALL_ALLOWED_HOSTS',
  doc: 'Host names by which the REST and gRPC APIs and the metrics port are called, in addition to addresses and `localhost`: requests for any other host are refused.',
  fallback: undefined,
  pattern: HOST_NAME,
  form: 'host names without ports, comma separated, such as "gateway,*.example.org"; a star matches one label',
});

export const metricsTokenSetting = text({
  name: 'EVENFALL_METRICS_TOKEN',
  doc: 'Secret that `/metrics` asks for, as `Authorization: Bearer …`. Unset, it answers callers on the same machine alone. `/healthz` and `/readyz` ask for none.',
  fallback: undefined,
  secret: true,
  pattern: /^[\x21-\x7e]{16,512}$/,
  form: 'at least 16 characters without blanks',
});

const tlsFile = (name: string, doc: string) => text({ name, doc, fallback: undefined });

/** What every process reads. */
export const processSettings = <const N extends ServiceName>(service: N) => ({
  metricsPort: integer({
    name: 'EVENFALL_METRICS_PORT',
    doc: 'Port of `/metrics`, `/healthz` and `/readyz`; 0 picks a free one.',
    fallback: String(PORTS[service].metrics),
    ...PORT,
  }),
  metricsToken: metricsTokenSetting,
  allowedHosts: allowedHostsSetting,
  logLevel: logLevelSetting,
  logFormat: logFormatSetting,
  internalKey: text({
    name: 'EVENFALL_INTERNAL_KEY',
    doc: 'Secret that services ask each other for; the same for all of them. Needed by a service that listens beyond loopback.',
    fallback: undefined,
    secret: true,
    pattern: /^[\x21-\x7e]{16,512}$/,
    form: 'at least 16 characters without blanks',
  }),
  tlsCaFile: tlsFile(
    'EVENFALL_TLS_CA',
    'File of the certificates (PEM) of the authority that services trust. With `EVENFALL_TLS_CERT` and `EVENFALL_TLS_KEY` services speak TLS, and ask each other for certificates.',
  ),
  tlsCertificateFile: tlsFile(
    'EVENFALL_TLS_CERT',
    'File of the certificate (PEM) of this process, with its identity; `evenfall ca issue` makes one. A new file is used without a restart.',
  ),
  tlsKeyFile: tlsFile('EVENFALL_TLS_KEY', 'File of its private key (PEM).'),
  stopOnStdinEnd: flag({
    name: 'EVENFALL_STOP_ON_STDIN_END',
    doc: 'Stop in order when stdin ends: for a parent process that must not leave it behind.',
    fallback: 'false',
  }),
});

/** Settings of a process with private APIs only. */
export const hostSetting = {
  host: text({
    name: 'EVENFALL_HOST',
    doc: 'Address the process listens on; wider than loopback only with an internal key.',
    fallback: '127.0.0.1',
    pattern: /^[\w.:-]+$|^\[[\w.:]+\]$/,
    form: 'an address or host name',
  }),
};

/** What a process with a private gRPC server reads. */
export const privateServerSettings = <const N extends ServiceName>(service: N) => ({
  ...hostSetting,
  grpcPort: integer({
    name: 'EVENFALL_GRPC_PORT',
    doc: 'Port of the service, for other services only; 0 picks a free one.',
    fallback: String(PORTS[service].grpc),
    ...PORT,
  }),
  ...processSettings(service),
});

const postgresUrl = text({
  name: 'EVENFALL_POSTGRES_URL',
  doc: 'The Postgres that all services share.',
  fallback: undefined,
  secret: true,
  pattern: /^postgres(ql)?:\/\//,
  form: 'a URL that begins with "postgres://"',
});

/** What a process reads that keeps something in Postgres. */
export const postgresSettings = { postgresUrl };

/** What a process reads that reads or writes the event log. */
export const eventLogSettings = { postgresUrl, ...kafkaSettings };

/** Settings of a process that calls webhooks, or lets them be set. */
export const webhookSettings = {
  webhookAllowPrivate: flag({
    name: 'EVENFALL_WEBHOOK_ALLOW_PRIVATE',
    doc: 'Whether webhooks may go to private and loopback addresses, to the latter over plain HTTP too. For trials only: a caller that may set a webhook can then reach what this machine can.',
    fallback: 'false',
  }),
};

const address = (service: ServiceName, name: string) =>
  text({
    name,
    doc: `Where the ${service} answers.`,
    fallback: `127.0.0.1:${PORTS[service].grpc}`,
    pattern: ADDRESS,
    form: 'an address as "host:port"',
  });

/** Where other services are. */
export const peerSettings = {
  registryAddress: address('registry', 'EVENFALL_REGISTRY_ADDRESS'),
  schedulerAddress: address('scheduler', 'EVENFALL_SCHEDULER_ADDRESS'),
  eventStoreAddress: text({
    name: 'EVENFALL_EVENT_STORE_ADDRESS',
    doc: 'Where the event-store answers. Of several replicas: a host name with an address for each, or their IP addresses, comma separated.',
    fallback: `127.0.0.1:${PORTS['event-store'].grpc}`,
    pattern: /^((\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5}|(\d{1,3}(\.\d{1,3}){3}:\d{1,5})(,\d{1,3}(\.\d{1,3}){3}:\d{1,5})*)$/,
    form: 'an address as "host:port", or IPv4 addresses as "10.0.0.1:9194,10.0.0.2:9194"',
  }),
  queueAddresses: list({
    name: 'EVENFALL_QUEUE_ADDRESSES',
    doc: 'Where the replicas of the queue answer, one address for each.',
    fallback: `127.0.0.1:${PORTS.queue.grpc}`,
    pattern: ADDRESS,
    form: 'addresses as "host:port", comma separated',
  }),
};

/** Refuses to listen to a network without asking for the internal key. */
export const HOST_CHECK: SettingsCheck<typeof hostSetting & ReturnType<typeof processSettings>> = {
  of: ['host', 'internalKey', 'tlsCertificateFile'],
  fault: ({ host, internalKey, tlsCertificateFile }) =>
    internalKey !== undefined || tlsCertificateFile !== undefined || isLoopback(host)
      ? undefined
      : `EVENFALL_HOST="${host}": others than this machine could call without a key; set EVENFALL_TLS_CA, EVENFALL_TLS_CERT and EVENFALL_TLS_KEY, or EVENFALL_INTERNAL_KEY, or listen on 127.0.0.1`,
};

/** Refuses TLS by halves. */
export const TLS_CHECK: SettingsCheck<ReturnType<typeof processSettings>> = {
  of: ['tlsCaFile', 'tlsCertificateFile', 'tlsKeyFile'],
  fault(files) {
    const set = [files.tlsCaFile, files.tlsCertificateFile, files.tlsKeyFile].filter((file) => file !== undefined).length;
    return set === 0 || set === 3
      ? undefined
      : 'EVENFALL_TLS_CA, EVENFALL_TLS_CERT and EVENFALL_TLS_KEY go together; write all three, or none';
  },
};

/** Says what a service cannot be without. */
export const POSTGRES_CHECK: SettingsCheck<typeof postgresSettings> = {
  of: ['postgresUrl'],
  fault: ({ postgresUrl: url }) =>
    url === undefined ? 'EVENFALL_POSTGRES_URL is not set: this service keeps its data in Postgres; write its URL' : undefined,
};

/** Says that the event log must be somewhere, and how Kafka's settings go together. */
export const EVENT_LOG_CHECKS: readonly SettingsCheck<typeof eventLogSettings>[] = [
  {
    of: ['postgresUrl', 'kafkaBrokers'],
    fault: ({ postgresUrl: url, kafkaBrokers }) =>
      url === undefined && kafkaBrokers === undefined
        ? 'EVENFALL_POSTGRES_URL and EVENFALL_KAFKA_BROKERS are not set: the event log is in Kafka or in Postgres; write one of them'
        : undefined,
  },
  ...KAFKA_CHECKS,
];

/** Refuses one port for two APIs. */
export const portsCheck = <const K extends string>(...of: readonly K[]) => ({
  of,
  fault(ports: Readonly<Record<K, unknown>>): string | undefined {
    const chosen = of.map((key) => ports[key]).filter((port) => port !== 0);
    if (new Set(chosen).size === chosen.length) return undefined;
    return `${of.map((key) => PORT_NAMES[key] ?? key).join(', ')}: two of them are the same; write different ports`;
  },
});

const PORT_NAMES: Readonly<Record<string, string>> = {
  httpPort: 'EVENFALL_HTTP_PORT',
  grpcPort: 'EVENFALL_GRPC_PORT',
  metricsPort: 'EVENFALL_METRICS_PORT',
  joinPort: 'EVENFALL_JOIN_PORT',
};

export type ProcessConfig = SettingsOf<ReturnType<typeof processSettings> & typeof hostSetting>;
