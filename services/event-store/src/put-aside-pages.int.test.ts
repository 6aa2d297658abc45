import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ListPutAsideRecordsResponse } from '@evenfall/contracts/v1/operator_service';
import { createPutAsideTable } from './adapters/postgres/put-aside-table.ts';
import { listPutAside } from './flows/list-put-aside.ts';
import { eachOnAnEmptySchema } from './testing/view.ts';

const COUNT = 330;
/** The default message limit of gRPC clients. */
const FOUR_MIB = 4 * 1024 * 1024;

describe('pages of put-aside records', () => {
  const { db } = eachOnAnEmptySchema();

  for (const pageSize of [0, 7, 100, 10_000])
    it(`of ${pageSize} show each of the largest records once, newest first, in answers that fit`, async () => {
      const aside = createPutAsideTable(db.sql);
      const text = '漢'.repeat(2_000);
      for (let n = 0; n < COUNT; n++)
        await aside.add({
          partition: n % 3,
          offset: n,
          eventId: text,
          attempt: 1,
          change: text,
          reason: text,
          isReduced: false,
          data: Buffer.alloc(1),
        });
      await db.sql`UPDATE events.put_aside SET put_time = '2026-01-01T00:00:00.000001Z' WHERE record_offset % 2 = 0`; // many at one time
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await listPutAside({ aside }, { pageSize, pageToken });
        assert.ok(ListPutAsideRecordsResponse.encode(page).finish().length < FOUR_MIB);
        assert.equal(page.totalSize, BigInt(COUNT));
        seen.push(...page.records.map(({ partition, offset }) => `${partition}/${offset}`));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      assert.equal(seen.length, COUNT);
      assert.equal(new Set(seen).size, COUNT);
    });

  it('refuse a token that is none', async () => {
    const aside = createPutAsideTable(db.sql);
    for (const pageToken of ['x', Buffer.from('["x","1/2/3"]').toString('base64url')])
      await assert.rejects(listPutAside({ aside }, { pageSize: 0, pageToken }), /does not belong/);
    await assert.rejects(listPutAside({ aside }, { pageSize: -1, pageToken: '' }), /page_size/);
  });
});
