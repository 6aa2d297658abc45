import { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import type { Sql } from '@evenfall/postgres';
import type { AuditStore } from '../../ports.ts';
import { guarded } from './function-store.ts';

const LAST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Keeps audit records in Postgres. */
export function createAuditStore(sql: Sql): AuditStore {
  return {
    record: (records) =>
      guarded(async () => {
        if (records.length === 0) return;
        const rows = isMostCertain(records).map((one) => ({
          id: one.id,
          key_id: one.keyId,
          action: one.action,
          namespace: one.namespace,
          subject: one.subject,
          certainty: certaintyOf(one),
          data: Buffer.from(AuditRecord.encode(one).finish()),
        }));
        await sql`
          INSERT INTO registry.audit_record ${sql(rows)}
          ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id, action = excluded.action, namespace = excluded.namespace,
            subject = excluded.subject, certainty = excluded.certainty, data = excluded.data
          WHERE audit_record.certainty < excluded.certainty`;
      }),

    list: (query, namespaces, before, limit) =>
      guarded(async () => {
        const to = query.endTime ? lowestIdOf(query.endTime) : LAST;
        const rows = await sql<{ data: Buffer }[]>`
          SELECT data FROM registry.audit_record
          WHERE id < ${before === '' || to < before ? to : before}::uuid
            ${query.startTime ? sql`AND id >= ${lowestIdOf(query.startTime)}::uuid` : sql``}
            ${query.keyId === '' ? sql`` : sql`AND key_id = ${query.keyId}`}
            ${query.action === '' ? sql`` : sql`AND action = ${query.action}`}
            ${query.namespace === '' ? sql`` : sql`AND namespace = ${query.namespace}`}
            ${query.subject === '' ? sql`` : sql`AND subject = ${query.subject}`}
            ${namespaces === 'all' ? sql`` : sql`AND namespace = ANY(${[...namespaces]})`}
          ORDER BY id DESC LIMIT ${limit}`;
        return rows.map(({ data }) => AuditRecord.decode(data));
      }),

    sweep: (before, limit) =>
      guarded(async () => {
        const { count } = await sql`
          DELETE FROM registry.audit_record WHERE id IN (
            SELECT id FROM registry.audit_record WHERE id < ${lowestIdOf(before)}::uuid ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED)`;
        return count;
      }),
  };
}

/**
 * How much a record says of its outcome. A termination whose caller was answered that it failed may be done all the same, as the event log says then; what
 * has begun may be anything.
 */
function certaintyOf({ outcome }: AuditRecord): number {
  return outcome === 'BEGUN' ? 0 : outcome === 'OK' ? 2 : 1;
}

/** One record of each id, the one that says most; in the order of ids, so that two gateways wait for each other and never in a ring. */
function isMostCertain(records: readonly AuditRecord[]): AuditRecord[] {
  const most = new Map<string, AuditRecord>();
  for (const one of records) {
    const other = most.get(one.id);
    if (!other || certaintyOf(one) > certaintyOf(other)) most.set(one.id, one);
  }
  return [...most.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The lowest id of a millisecond: ids hold the time in their first 48 bits. */
function lowestIdOf(time: Date): string {
  const hex = Math.min(Math.max(time.getTime(), 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
