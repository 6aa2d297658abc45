import type { Sql } from '@evenfall/postgres';
import type { Log } from '@evenfall/telemetry';
import type { ChangeFeed, KeyFeed, QuotaFeed, QuotaNotice } from '../../ports.ts';
import { KEY_CHANNEL } from './access-key-store.ts';
import { CHANGE_CHANNEL } from './function-store.ts';
import { startNotices } from './notices.ts';
import { QUOTA_CHANNEL } from './quota-store.ts';

/** Tells of functions that change. */
export async function startChangeFeed(sql: Sql, log: Log): Promise<ChangeFeed & { stop(): Promise<void> }> {
  const read = (payload: string): { namespace: string; name: string } => {
    const slash = payload.indexOf('/');
    return { namespace: payload.slice(0, slash), name: payload.slice(slash + 1) };
  };
  const { watch, tell, stop } = await startNotices(sql, log, { channel: CHANGE_CHANNEL, standing: { namespace: '', name: '' }, read });
  return { watch, announce: (namespace, name) => tell({ namespace, name }), stop };
}

/** Tells of access keys that change. */
export async function startKeyFeed(sql: Sql, log: Log): Promise<KeyFeed & { stop(): Promise<void> }> {
  const { watch, tell, stop } = await startNotices(sql, log, { channel: KEY_CHANNEL, standing: '', read: (id) => id });
  return { watch, announce: tell, stop };
}

/** Tells of quotas that change. */
export async function startQuotaFeed(sql: Sql, log: Log): Promise<QuotaFeed & { stop(): Promise<void> }> {
  const read = (payload: string): QuotaNotice => {
    const [of, name = ''] = payload.split('/');
    return { of: of === 'key' ? 'key' : 'namespace', name };
  };
  const { watch, tell, stop } = await startNotices<QuotaNotice>(sql, log, { channel: QUOTA_CHANNEL, standing: undefined, read });
  return { watch, announce: tell, stop };
}
