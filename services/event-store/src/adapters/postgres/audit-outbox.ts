import { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import { part, type Sql } from '@evenfall/postgres';
import type { FoldChanges } from '../../domain/fold.ts';
import type { AuditOutbox } from '../../ports.ts';
import { type Blob, createColumns } from './row-encoding.ts';

/** The part of the fold's statement that keeps audit records for the registry; an empty text, and no work, for a fold without any. */
export function auditPart(audits: FoldChanges['audits'], blob: Blob) {
  if (audits.length === 0) return part``;
  const rows = createColumns(3);
  for (const record of audits) {
    const data = blob.add(AuditRecord.encode(record).finish());
    rows.add(record.id, data, blob.end - data);
  }
  return part`, audited AS (
      INSERT INTO events.audit_outbox (id, data)
      SELECT a.id, substring((SELECT bytes FROM blob) FROM a.data_at FOR a.data_length)
      FROM unnest(${rows.column(0)}::uuid[], ${rows.column(1)}::int[], ${rows.column(2)}::int[]) AS a (id, data_at, data_length)
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id) DO NOTHING
    )`;
}

/** The audit records that wait for the registry, in Postgres. */
export function createAuditOutbox(sql: Sql): AuditOutbox {
  return {
    async first(limit) {
      const rows = await sql<{ data: Buffer }[]>`SELECT data FROM events.audit_outbox ORDER BY id LIMIT ${limit}`;
      return rows.map(({ data }) => AuditRecord.decode(data));
    },
    async remove(ids) {
      await sql`DELETE FROM events.audit_outbox WHERE id = ANY(${[...ids]}::uuid[])`;
    },
    async count() {
      const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM events.audit_outbox`;
      return row?.count ?? 0;
    },
  };
}
