import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cutPage, PAGE_BYTES, pageToken, readPageToken } from './index.ts';

describe('pages', () => {
  it('hold everything once and in order, and fit', () => {
    const lists = fc.array(fc.integer({ min: 0, max: PAGE_BYTES / 2 }), { maxLength: 60 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 20 }), (sizes, pageSize) => {
        const items = sizes.map((bytes, index) => ({ index, bytes }));
        const seen: number[] = [];
        for (let from = 0, more = items.length > 0; more;) {
          const page = cutPage(items.slice(from, from + pageSize + 1), pageSize, ({ bytes }) => bytes);
          assert.ok(page.items.length > 0 && page.items.length <= pageSize);
          const bytes = page.items.reduce((sum, item) => sum + item.bytes, 0);
          assert.ok(bytes <= PAGE_BYTES || page.items.length === 1);
          seen.push(...page.items.map(({ index }) => index));
          more = page.last !== undefined;
          from = (page.last?.index ?? 0) + 1;
        }
        assert.deepEqual(
          seen,
          items.map(({ index }) => index),
        );
      }),
    );
  });

  it('go on only where they belong', () => {
    const token = pageToken('killer', 'functions', 'default');
    assert.equal(readPageToken(token, /^\w+$/, 'functions', 'default'), 'killer');
    assert.equal(readPageToken('', /^\w+$/, 'functions', 'default'), '');
    for (const read of [
      () => readPageToken(token, /^\w+$/, 'functions', 'other'),
      () => readPageToken(token, /^\d+$/, 'functions', 'default'),
      () => readPageToken('e30', /^\w+$/, 'functions', 'default'),
      () => readPageToken('%%', /^\w+$/, 'functions', 'default'),
    ])
      assert.throws(read, /does not belong to this request/);
  });
});
