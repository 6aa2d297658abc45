import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pageToken, readPageToken } from '@evenfall/paging';
import { visiblePage } from './visible-page.ts';

type Item = { readonly id: string; readonly mine: boolean };

describe('a page of a list that is narrowed', () => {
  it('shows all that may be seen, in order, and says nothing of the rest', async () => {
    const items = fc
      .array(fc.boolean(), { maxLength: 450 })
      .map((flags) => flags.map((mine, n) => ({ id: `${mine ? 'm' : 'x'}${String(n).padStart(4, '0')}`, mine })));
    const idOf = ({ id }: Item): string => id.slice(1);
    await fc.assert(
      fc.asyncProperty(items, fc.integer({ min: 1, max: 120 }), async (all, pageSize) => {
        const read = async (asked: { readonly pageSize: number; readonly pageToken: string }) => {
          const after = readPageToken(asked.pageToken, /^\d{4}$/, 'things');
          const found = all.filter((one) => idOf(one) > after).slice(0, asked.pageSize);
          const last = found.at(-1);
          const isLast = last === undefined || last === all.at(-1);
          return { items: found, nextPageToken: isLast ? '' : pageToken(idOf(last), 'things') };
        };
        const seen: Item[] = [];
        for (let token = ''; ;) {
          const page = await visiblePage({ pageSize, pageToken: token }, read, {
            sees: ({ mine }) => mine,
            tokenOf: (one) => [idOf(one), 'things'],
          });
          seen.push(...page.items);
          token = page.nextPageToken;
          if (token === '') break;
          assert.equal(page.items.length, Math.min(pageSize, 100), 'a page with others behind it is full');
          const named = readPageToken(token, /^\d{4}$/, 'things');
          assert.ok(
            all.some((one) => one.mine && idOf(one) === named),
            'its token names what was shown',
          );
        }
        assert.deepEqual(
          seen,
          all.filter(({ mine }) => mine),
        );
      }),
    );
  });
});
