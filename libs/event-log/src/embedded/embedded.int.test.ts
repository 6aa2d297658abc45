import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPool, type Sql } from '@evenfall/postgres';
import { eventually, testDatabase, type TestDatabase } from '@evenfall/testkit';
import { eventLogContract, type LogUnderTest, records } from '../event-log.contract.ts';
import { logLimitsContract } from '../limits.contract.ts';
import { type LogBatch, openEmbeddedLog } from '../index.ts';
import { checkSegments } from './segments.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.drop());

const fail = (error: unknown): void => console.error(error);

const underTest = async (): Promise<LogUnderTest> => {
  const pools: Sql[] = [];
  return {
    async open() {
      const sql = createPool(database.target, { name: 'contract' });
      pools.push(sql);
      return openEmbeddedLog({ sql, partitionCount: 4, onFailure: fail });
    },
    async close() {
      for (const sql of pools) await sql.end({ timeout: 1 });
    },
  };
};
eventLogContract('embedded', underTest);
logLimitsContract('embedded', underTest);

test('records that cannot be decoded are handed on beside the others', async () => {
  const writer = await openEmbeddedLog({ sql: database.sql, partitionCount: 4, onFailure: fail });
  const end = await writer.append(0, records('decodable', 4));
  await writer.append(0, records('behind', 1));
  await writer.close();
  // The second of four: its length stays, its bytes are no message.
  const [row] = await database.sql<{ data: Buffer }[]>`SELECT data FROM event_log.batch WHERE partition = 0 AND first_offset = ${end - 4}`;
  assert.ok(row);
  const [first = 0, second = 0] = [row.data[1], row.data[3 + (row.data[1] ?? 0)]];
  row.data.fill(0xff, first + 4, first + 4 + second);
  await database.sql`UPDATE event_log.batch SET data = ${row.data} WHERE partition = 0 AND first_offset = ${end - 4}`;

  const log = await openEmbeddedLog({ sql: database.sql, partitionCount: 4, onFailure: fail });
  const batches: LogBatch[] = [];
  const subscription = log.subscribe({
    name: 'broken',
    owned: async (partitions) => new Map(partitions.map((p) => [p, p === 0 ? end - 4 : Number.MAX_SAFE_INTEGER])),
    apply: async (some) => void batches.push(...some),
    lost: () => undefined,
  });
  await eventually(() => batches.flatMap((batch) => batch.records).length === 5);
  assert.deepEqual(
    batches.flatMap((batch) => batch.records.map(({ eventId }) => eventId)),
    ['decodable-0', '', 'decodable-2', 'decodable-3', 'behind-0'],
  );
  assert.deepEqual(
    batches.flatMap((batch) => batch.unreadable ?? []).map(({ offset, bytes }) => [offset, bytes.length]),
    [[end - 3, second]],
  );
  await subscription.stop();
  await log.close();
});

test('segments go whole, once every reader is past them', async () => {
  const log = await openEmbeddedLog({ sql: database.sql, partitionCount: 4, onFailure: fail });
  const segments = async (): Promise<number[]> =>
    (await database.sql<{ segment: number }[]>`SELECT segment FROM event_log.segment ORDER BY 1`).map((row) => row.segment);
  await database.sql`DELETE FROM event_log.reader`;
  await log.append(0, records('old', 10));
  const before = (await segments()).length; // two where the tests before took long, and the log looked itself
  await checkSegments(database.sql, 1);
  assert.equal((await segments()).length, before + 1, 'a full segment is followed by a new one, and kept until it has been read');

  const subscription = log.subscribe({ name: 'slow', owned: async () => new Map(), apply: async () => undefined, lost: () => undefined });
  subscription.applied(new Map([[0, 5]]));
  await eventually(async () => (await database.sql`SELECT FROM event_log.reader`).length > 0);
  await checkSegments(database.sql, 1e9);
  assert.equal((await segments()).length, before + 1, 'a reader in the middle of it keeps it');

  subscription.applied(await log.endOffsets());
  await eventually(async () => {
    await checkSegments(database.sql, 1e9);
    return (await segments()).length === 1;
  });
  const end = (await log.endOffsets()).get(0) ?? 0;
  assert.equal(await log.append(0, records('new', 1)), end + 1, 'offsets go on');
  await log.close();
});

test('a log cannot be opened with another number of partitions', async () => {
  await assert.rejects(openEmbeddedLog({ sql: database.sql, partitionCount: 5, onFailure: fail }), /made with 4 partitions, not 5/);
});

test('a log of one process knows its ends without asking, from before it was opened too', async () => {
  const open = () => openEmbeddedLog({ sql: database.sql, partitionCount: 4, isShared: false, onFailure: fail });
  const log = await open();
  const end = await log.append(1, records('mine', 3));
  await database.sql`ALTER TABLE event_log.partition RENAME TO away`;
  try {
    assert.equal((await log.endOffsets()).get(1), end);
  } finally {
    await database.sql`ALTER TABLE event_log.away RENAME TO partition`;
  }
  await log.close();
  const again = await open();
  assert.equal((await again.endOffsets()).get(1), end);
  await again.close();
});

test('what was acknowledged is there after the server is killed', async () => {
  const sql = createPool(database.target, { name: 'killed' });
  const log = await openEmbeddedLog({ sql, partitionCount: 4, onFailure: () => undefined });
  const end = await log.append(2, records('kept', 3));
  await database.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'evenfall killed'`;
  await eventually(async () => (await log.append(2, records('after', 1)).catch(() => 0)) > end);
  await log.close();
  await sql.end({ timeout: 1 });
});
