import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPool, type Sql } from '@evenfall/postgres';
import { eventually, testDatabase, type TestDatabase } from '@evenfall/testkit';
import { eventLogContract, records } from '../event-log.contract.ts';
import { openEmbeddedLog } from '../index.ts';
import { checkSegments } from './segments.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.drop());

const fail = (error: unknown): void => console.error(error);

eventLogContract('embedded', async () => {
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
});

test('segments go whole, once every reader is past them', async () => {
  const log = await openEmbeddedLog({ sql: database.sql, partitionCount: 4, onFailure: fail });
  const segments = async (): Promise<number[]> =>
    (await database.sql<{ segment: number }[]>`SELECT segment FROM event_log.segment ORDER BY 1`).map((row) => row.segment);
  await database.sql`DELETE FROM event_log.reader`;
  await log.append(0, records('old', 10));
  await checkSegments(database.sql, 1);
  assert.equal((await segments()).length, 2, 'a full segment is followed by a new one, and kept while nobody has read it');

  const subscription = log.subscribe({ name: 'slow', owned: async () => new Map(), apply: async () => undefined, lost: () => undefined });
  subscription.applied(new Map([[0, 5]]));
  await eventually(async () => (await database.sql`SELECT FROM event_log.reader`).length > 0);
  await checkSegments(database.sql, 1e9);
  assert.equal((await segments()).length, 2, 'a reader in the middle of it keeps it');

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
