// What `/readyz` says while accepted events cannot be read, and what becomes of records that cannot be read at all.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { type Stack, startStack } from '../support/stack.ts';
import { stackSql } from '../support/stack-sql.ts';

type Readiness = { readonly status: string; readonly faults?: readonly string[] };

describe('a platform whose view makes no progress', { timeout: 180_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    await stack.rest.deployExample('echo');
  });
  after(() => stack.dispose());
  const readyz = async (base = stack.http): Promise<readonly [number, Readiness]> => {
    const response = await fetch(`${base}/readyz`);
    return [response.status, (await response.json()) as Readiness]; // the shape of the REST API's answer
  };

  it('is not ready, says why, and is again once it moves; what was accepted meanwhile is not lost', async () => {
    const sql = stackSql(stack);
    try {
      await sql`ALTER TABLE events.ended_event RENAME TO ended_event_away`;
      const { id } = await stack.rest.send('echo', { a: 1 });
      await eventually(async () => {
        const [status, { faults }] = await readyz();
        assert.equal(status, 503);
        assert.match(faults?.[0] ?? '', /^the view lacks \d+ records of 1 partitions and has not moved for \d+ s: .*ended_event/);
        return true;
      }, 40_000);
      assert.equal((await readyz(stack.metrics))[0], 503);
      await sql`ALTER TABLE events.ended_event_away RENAME TO ended_event`;
      await eventually(async () => (await readyz())[0] === 200, 40_000);
      assert.equal((await readyz(stack.metrics))[0], 200);
      assert.equal((await stack.rest.ended(id)).state, 'SUCCEEDED');
      const { body } = await stack.rest.call<{ total_size: number }>('GET', '/v1/put-aside-records');
      assert.equal(body.total_size, 0, 'no record is blamed for what the database lacks');
    } finally {
      await sql.end();
    }
  });

  it('puts a record aside that is none, and goes on with those behind it', async () => {
    const first = await stack.rest.send('echo', { n: 1 });
    assert.equal((await stack.rest.ended(first.id)).state, 'SUCCEEDED');
    const sql = stackSql(stack);
    try {
      // In the partition of the function, as a writer of another version may have left it.
      await sql`
        WITH moved AS (
          UPDATE event_log.partition SET next_offset = next_offset + 1
          WHERE partition = (SELECT partition FROM events.applied ORDER BY end_offset DESC LIMIT 1) RETURNING partition, next_offset - 1 AS at)
        INSERT INTO event_log.batch (segment, partition, first_offset, record_count, data)
        SELECT (SELECT max(segment) FROM event_log.segment), partition, at, 1, '\\xffffffff'::bytea FROM moved`;
    } finally {
      await sql.end();
    }
    const { body } = await eventually(async () => {
      const answer = await stack.rest.call<{ records: { reason: string; reduced: boolean }[]; total_size: number }>(
        'GET',
        '/v1/put-aside-records',
      );
      return answer.body.total_size === 1 ? answer : undefined;
    }, 20_000);
    assert.match(body.records[0]?.reason ?? '', /^It cannot be decoded/);
    for (let n = 0; n < 5; n++) {
      const { id } = await stack.rest.send('echo', { n });
      assert.equal((await stack.rest.ended(id)).state, 'SUCCEEDED');
    }
    assert.equal(await stack.metric('evenfall_event_store_records_put_aside'), 1);
    assert.equal((await readyz())[0], 200);
  });
});
