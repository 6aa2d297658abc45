import { ask, part, type Sql } from '@evenfall/postgres';
import type { FoldChanges } from '../../domain/fold.ts';
import { auditPart } from './audit-outbox.ts';
import { deliveryParts } from './fold-deliveries.ts';
import { closedPart, deadPart, endedPart, openedPart, purgedPart } from './fold-parts.ts';
import { redrivenPart } from './redriven.ts';
import { createBlob, createWords } from './row-encoding.ts';

/** Sent in hexadecimal, as a text of twice the length: JavaScript has none of more than 512 MiB. A fold of more is halved. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Writes one fold in one statement: the offsets are compared and set, and everything else happens only if they were what was expected.
 *
 * Dense, because every event passes here. The bytes of all rows travel as one blob that the server cuts up; ids and numbers travel as array
 * literals made by one join; the words of a row (function, version, …), which few rows have of their own, as an index into a list of them.
 * postgres.js would escape every element of every array: that was a third of the time spent here.
 */
export async function writeFold(sql: Sql, changes: FoldChanges): Promise<boolean> {
  const { moves } = changes;
  const blob = createBlob();
  const words = createWords();
  const opened = openedPart(changes.open, blob, words);
  const ended = endedPart(changes.ended, blob, words);
  const dead = deadPart(changes, blob, words);
  if (blob.end > MOST_BYTES) throw new RangeError(`The rows of a fold have ${blob.end} bytes; at most ${MOST_BYTES} are sent`);
  const [pendingPart, settledPart, amendedPart] = deliveryParts(changes, blob);
  const auditedPart = auditPart(changes.audits, blob);
  const [row] = await ask<{ ok: boolean }>(
    sql,
    part`
    WITH blob AS MATERIALIZED ( -- looked at by a subquery: joined, it would be copied for every row
      SELECT ${blob.bytes()}::bytea AS bytes
    ), words AS MATERIALIZED (
      SELECT * FROM unnest(${words.namespaces}::text[], ${words.functions}::text[], ${words.versions}::text[], ${words.triggers}::text[])
        WITH ORDINALITY AS w (namespace, function, version, trigger, index)
    ), move AS (
      SELECT * FROM unnest(${moves.map((move) => move.partition)}::int[], ${moves.map((move) => move.from)}::bigint[],
        ${moves.map((move) => move.to)}::bigint[], ${moves.map((move) => move.owner)}::text[], ${moves.map((move) => move.ownerLogMs ?? null)}::float8[]
      ) AS m (partition, from_offset, to_offset, owner, owner_ms)
    ), locked AS (
      SELECT a.partition FROM events.applied a JOIN move m ON m.partition = a.partition AND m.from_offset = a.end_offset
      ORDER BY a.partition FOR UPDATE OF a
    ), checked AS (
      SELECT (SELECT count(*) FROM locked) = ${moves.length}::int AS ok
    ), moved AS (
      UPDATE events.applied a SET end_offset = m.to_offset, owner = m.owner, owner_time = to_timestamp(m.owner_ms / 1000.0), timed_owner = m.owner
      FROM move m WHERE a.partition = m.partition AND (SELECT ok FROM checked)
    ) ${opened} ${closedPart(changes.closed)} ${ended} ${dead} ${purgedPart(changes.purged)}
    ${redrivenPart(changes.redriven)} ${pendingPart} ${settledPart} ${amendedPart} ${auditedPart}
    SELECT ok FROM checked`,
  );
  return row?.ok ?? false;
}
