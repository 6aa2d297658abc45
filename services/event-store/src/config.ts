import { duration, readSettings } from '@evenfall/config';
import {
  eventLogSettings,
  HOST_CHECK,
  peerSettings,
  KAFKA_CHECKS,
  portsCheck,
  TLS_CHECK,
  POSTGRES_CHECK,
  postgresSettings,
  privateServerSettings,
} from '@evenfall/service-main/settings';

/** What the event-store reads from the environment. */
export const eventStoreSettings = {
  retentionMs: duration({
    name: 'EVENFALL_RETENTION',
    doc: 'How long the status and the log of an event are kept after it has ended.',
    fallback: '72h',
    minMs: 3_600_000,
    maxMs: 30 * 24 * 3_600_000,
  }),
  deadLetterRetentionMs: duration({
    name: 'EVENFALL_DEAD_LETTER_RETENTION',
    doc: 'How long a dead letter is kept, unless it is redriven or purged before.',
    fallback: '336h',
    minMs: 3_600_000,
    maxMs: 90 * 24 * 3_600_000,
  }),
};

/** Everything the event-store reads as a process of its own. */
export const eventStoreProcess = {
  ...privateServerSettings('event-store'),
  ...postgresSettings,
  ...eventLogSettings,
  registryAddress: peerSettings.registryAddress,
  ...eventStoreSettings,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(eventStoreProcess, env, [
    HOST_CHECK,
    TLS_CHECK,
    POSTGRES_CHECK,
    ...KAFKA_CHECKS,
    portsCheck('grpcPort', 'metricsPort'),
  ]);
}
