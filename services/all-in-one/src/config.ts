import { join } from 'node:path';
import { choice, integer, readSettings, type SettingsCheck, text } from '@evenfall/config';
import { eventStoreSettings } from '@evenfall/event-store/config';
import { GATEWAY_CHECKS, GATEWAY_SETTINGS, gatewaySettings } from '@evenfall/gateway/service';
import { agentSettings } from '@evenfall/instance-agent/config';
import { queueSettings } from '@evenfall/queue/config';
import { schedulerSettings } from '@evenfall/scheduler/config';

/** What the all-in-one shape reads itself. */
export const allInOneSettings = {
  dataDir: text({
    name: 'EVENFALL_DATA_DIR',
    doc: 'Folder of everything that is kept: the database, the event log, unpacked code.',
    fallback: '.evenfall',
  }),
  metricsPort: integer({
    name: 'EVENFALL_METRICS_PORT',
    doc: 'Port of `/metrics`; 0 picks a free one.',
    fallback: '9464',
    min: 0,
    max: 65_535,
  }),
  postgresUrl: text({
    name: 'EVENFALL_POSTGRES_URL',
    doc: 'Postgres to use instead of the embedded one.',
    fallback: undefined,
    secret: true,
    pattern: /^postgres(ql)?:\/\//,
    form: 'a URL that begins with "postgres://"',
  }),
  logLevel: choice({
    name: 'EVENFALL_LOG_LEVEL',
    doc: 'Least important line of the log that is written.',
    fallback: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
  }),
};

const CHECKS: readonly SettingsCheck<typeof allInOneSettings & typeof GATEWAY_SETTINGS>[] = [
  {
    of: ['httpPort', 'grpcPort', 'metricsPort'],
    fault({ httpPort, grpcPort, metricsPort }) {
      const chosen = [httpPort, grpcPort, metricsPort].filter((port) => port !== 0);
      if (new Set(chosen).size === chosen.length) return undefined;
      return 'EVENFALL_HTTP_PORT, EVENFALL_GRPC_PORT and EVENFALL_METRICS_PORT: two of them are the same; write different ports';
    },
  },
];

/** Reads every setting of every service, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  const settings = readSettings(
    {
      ...allInOneSettings,
      ...eventStoreSettings,
      ...queueSettings,
      ...schedulerSettings,
      ...prefixed('agent', agentSettings),
      ...GATEWAY_SETTINGS,
    },
    env,
    [...GATEWAY_CHECKS, ...CHECKS],
  );
  const agentDataDir = settings.agentDataDir ?? join(settings.dataDir, 'agent');
  return { ...settings, agentDataDir, gateway: gatewaySettings(settings) };
}

type Prefixed<P extends string, T> = { [K in keyof T & string as `${P}${Capitalize<K>}`]: T[K] };

/** Services name their settings for themselves; here two of them would have the same name. */
function prefixed<P extends string, T extends object>(prefix: P, specs: T): Prefixed<P, T> {
  const entries = Object.entries(specs).map(([key, spec]) => [`${prefix}${key.charAt(0).toUpperCase()}${key.slice(1)}`, spec as unknown]);
  return Object.fromEntries(entries) as Prefixed<P, T>;
}
