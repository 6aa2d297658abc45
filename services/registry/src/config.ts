import { duration, integer, list, readSettings, type SettingsCheck, text } from '@evenfall/config';
import {
  HOST_CHECK,
  kafkaSettings,
  portsCheck,
  TLS_CHECK,
  POSTGRES_CHECK,
  postgresSettings,
  privateServerSettings,
  webhookSettings,
} from '@evenfall/service-main/settings';

/** What the registry reads from the environment, wherever it runs. */
export const registrySettings = {
  concurrencyMb: integer({
    name: 'EVENFALL_CONCURRENCY_MB',
    doc: 'Memory the instances of all functions may have together, in megabytes; of it concurrency is reserved and provisioned.',
    fallback: '128000',
    min: 1_280,
    max: 1_000_000_000,
  }),
  sealingKeys: list({
    name: 'EVENFALL_SEALING_KEY',
    doc: 'Keys that seal environments, secrets of webhooks and of access keys that sign requests of SCF, comma separated: the first seals, all open. Unset, the all-in-one program makes one at its first start, in the file `sealing-key` of its data folder; a registry as a process of its own then keeps environments and secrets of webhooks as they are, and makes no such access keys.',
    fallback: undefined,
    secret: true,
    pattern: /^[0-9a-f]{64}$/,
    form: '64 hex digits (openssl rand -hex 32), several comma separated',
  }),
  auditRetentionMs: duration({
    name: 'EVENFALL_AUDIT_RETENTION',
    doc: 'How long audit records are kept, and with them access keys that are revoked or expired.',
    fallback: '2160h',
    minMs: 3_600_000,
    maxMs: 87_600 * 3_600_000,
  }),
};

/** How agents join by tokens: of a registry as a process of its own. */
const joinSettings = {
  joinAuthority: text({
    name: 'EVENFALL_JOIN_AUTHORITY',
    doc: 'Folder of `evenfall ca` with the key of the authority. With it the registry issues certificates for agents that have a token of `evenfall agents token`; who takes such a registry over can then be any service. Unset, agents are issued theirs by `evenfall ca issue`.',
    fallback: undefined,
  }),
  joinPort: integer({
    name: 'EVENFALL_JOIN_PORT',
    doc: 'Port, for HTTPS, at which agents without a certificate ask for one, where `EVENFALL_JOIN_AUTHORITY` is set; 0 picks a free one.',
    fallback: '9195',
    min: 0,
    max: 65_535,
  }),
  joinValidMs: duration({
    name: 'EVENFALL_JOIN_VALID',
    doc: 'How long such certificates are valid. Agents have them renewed when two thirds of it are over.',
    fallback: '720h',
    minMs: 10_000,
    maxMs: 19_800 * 3_600_000,
  }),
};

/** The port for joining agents shows the certificate of the registry. */
const JOIN_CHECK: SettingsCheck<
  typeof joinSettings & { tlsCertificateFile: ReturnType<typeof privateServerSettings>['tlsCertificateFile'] }
> = {
  of: ['joinAuthority', 'tlsCertificateFile'],
  fault: ({ joinAuthority, tlsCertificateFile }) =>
    joinAuthority !== undefined && tlsCertificateFile === undefined
      ? 'EVENFALL_JOIN_AUTHORITY is set: the registry needs a certificate of its own too; set EVENFALL_TLS_CA, EVENFALL_TLS_CERT and EVENFALL_TLS_KEY'
      : undefined,
};

/** Everything the registry reads as a process of its own. */
export const registryProcess = {
  ...privateServerSettings('registry'),
  ...postgresSettings,
  ...webhookSettings,
  ...registrySettings,
  ...joinSettings,
  // It speaks to no broker: it refuses topics as destinations where there is none, and the event log's own.
  kafkaBrokers: kafkaSettings.kafkaBrokers,
  kafkaTopic: kafkaSettings.kafkaTopic,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(registryProcess, env, [
    HOST_CHECK,
    TLS_CHECK,
    POSTGRES_CHECK,
    JOIN_CHECK,
    portsCheck('grpcPort', 'metricsPort', 'joinPort'),
  ]);
}
