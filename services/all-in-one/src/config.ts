import { join, resolve } from 'node:path';
import { integer, readSettings, type SettingsOf, text } from '@evenfall/config';
import { eventStoreSettings } from '@evenfall/event-store/config';
import { GATEWAY_CHECKS, GATEWAY_SETTINGS, gatewaySettings } from '@evenfall/gateway/service';
import { agentSettings } from '@evenfall/instance-agent/config';
import type { AgentConfig } from '@evenfall/instance-agent/descriptor';
import { queueSettings } from '@evenfall/queue/config';
import { registrySettings } from '@evenfall/registry/config';
import { schedulerSettings } from '@evenfall/scheduler/config';
import {
  dataDirSetting,
  KAFKA_CHECKS,
  kafkaSettings,
  logFormatSetting,
  logLevelSetting,
  metricsTokenSetting,
  portsCheck,
} from '@evenfall/service-main/settings';

/** What the all-in-one shape reads itself. */
export const allInOneSettings = {
  dataDir: dataDirSetting,
  metricsPort: integer({
    name: 'EVENFALL_METRICS_PORT',
    doc: 'Port of `/metrics`, `/healthz` and `/readyz`; 0 picks a free one.',
    fallback: '9464',
    min: 0,
    max: 65_535,
  }),
  metricsToken: metricsTokenSetting,
  postgresUrl: text({
    name: 'EVENFALL_POSTGRES_URL',
    doc: 'Postgres to use instead of the embedded one.',
    fallback: undefined,
    secret: true,
    pattern: /^postgres(ql)?:\/\//,
    form: 'a URL that begins with "postgres://"',
  }),
  logLevel: logLevelSetting,
  logFormat: logFormatSetting,
};

export type AllInOneConfig = ReturnType<typeof readConfig>;

/** Reads every setting of every service, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  const settings = readSettings(
    {
      ...allInOneSettings,
      ...kafkaSettings,
      ...eventStoreSettings,
      ...queueSettings,
      ...registrySettings,
      ...schedulerSettings,
      ...prefixed('agent', agentSettings),
      ...GATEWAY_SETTINGS,
    },
    env,
    [...GATEWAY_CHECKS, ...KAFKA_CHECKS, portsCheck('httpPort', 'grpcPort', 'metricsPort')],
  );
  const agent: AgentConfig = {
    ...agentOf(settings),
    dataDir: settings.agentDataDir ?? join(settings.dataDir, 'agent'),
    hidden: [resolve(settings.dataDir)],
    host: settings.host,
  };
  return { ...settings, agent, gateway: gatewaySettings(settings) };
}

type Prefixed<P extends string, T> = { [K in keyof T & string as `${P}${Capitalize<K>}`]: T[K] };

/** Services name their settings for themselves; here two of them would have the same name. */
function prefixed<P extends string, T extends object>(prefix: P, specs: T): Prefixed<P, T> {
  const entries = Object.entries(specs).map(([key, spec]) => [prefixedKey(prefix, key), spec as unknown]);
  return Object.fromEntries(entries) as Prefixed<P, T>;
}

/** The agent's settings under its own names. */
function agentOf(values: SettingsOf<Prefixed<'agent', typeof agentSettings>>): SettingsOf<typeof agentSettings> {
  const named: Readonly<Record<string, unknown>> = values;
  const entries = Object.keys(agentSettings).map((key) => [key, named[prefixedKey('agent', key)]]);
  return Object.fromEntries(entries) as SettingsOf<typeof agentSettings>; // each value under the key that its setting has
}

function prefixedKey(prefix: string, key: string): string {
  return `${prefix}${key.charAt(0).toUpperCase()}${key.slice(1)}`;
}
