import type { Sql } from '@evenfall/postgres';
import type { Log } from '@evenfall/telemetry';
import type { ChangeFeed, KeyFeed, QuotaFeed, QuotaNotice } from '../../ports.ts';
import { KEY_CHANNEL } from './access-key-store.ts';
import { CHANGE_CHANNEL } from './function-store.ts';
import { startNotices } from './notices.ts';
import { QUOTA_CHANNEL } from './quota-store.ts';

/** Notifies of changed functions. */
export async function startChangeFeed(sql: Sql, log: Log): Promise<ChangeFeed & { stop(): Promise<void> }> {
  const read = (payload: string): { namespace: string; name: string } => {
    const slash = payload.indexOf('/');
    return { namespace: payload.slice(0, slash), name: payload.slice(slash + 1) };
  };
  const { watch, notify, stop } = await startNotices(sql, log, { channel: CHANGE_CHANNEL, connected: { namespace: '', name: '' }, read });
  return { watch, announce: (namespace, name) => notify({ namespace, name }), stop };
}

/** Notifies of changed access keys. */
export async function startKeyFeed(sql: Sql, log: Log): Promise<KeyFeed & { stop(): Promise<void> }> {
  const { watch, notify, stop } = await startNotices(sql, log, { channel: KEY_CHANNEL, connected: '', read: (id) => id });
  return { watch, announce: notify, stop };
}

/** Notifies of changed quotas. */
export async function startQuotaFeed(sql: Sql, log: Log): Promise<QuotaFeed & { stop(): Promise<void> }> {
  const read = (payload: string): QuotaNotice => {
    const [of, name = ''] = payload.split('/');
    return { of: of === 'key' ? 'key' : 'namespace', name };
  };
  const { watch, notify, stop } = await startNotices<QuotaNotice>(sql, log, { channel: QUOTA_CHANNEL, connected: undefined, read });
  return { watch, announce: notify, stop };
}
