import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import type { EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const F = '/v1/namespaces/default/functions';
const EVENTS = 250;
const idsOf = (events: readonly EventAnswer[]): string[] => events.map(({ id }) => id);

describe('listing events', () => {
  let stack: Stack;
  let ended: string[];
  before(async () => {
    stack = await startStack();
    const { rest } = stack;
    await rest.deployExample('echo');
    await rest.deployExample('throws');
    await rest.call('POST', `${F}/echo/versions`, {});
    ended = await rest.sendBatch(
      'echo',
      Array.from({ length: EVENTS }, (_, n) => ({ payload: n })),
    );
    await eventually(async () => (await rest.list('echo', 'state=SUCCEEDED')).length === EVENTS, 20_000);
  });
  after(() => stack.dispose());

  for (const orderBy of ['start_time', 'end_time']) {
    for (const order of ['desc', 'asc']) {
      it(`goes through all by ${orderBy} ${order} without a repeat or a gap while new ones come`, async () => {
        const { rest } = stack;
        const query = `order_by=${orderBy}&order=${order}&state=SUCCEEDED`;
        const seen: EventAnswer[] = [];
        const fresh: string[] = [];
        let token = '';
        do {
          const path = `${F}/echo/events?page_size=17&${query}${token && `&page_token=${token}`}`;
          const { body } = await rest.call<{ events: EventAnswer[]; next_page_token: string }>('GET', path);
          seen.push(...body.events);
          token = body.next_page_token;
          fresh.push(...(await rest.sendBatch('echo', [{ payload: 'new' }, { payload: 'new' }])));
        } while (token !== '' && seen.length < 10 * EVENTS);
        const ids = idsOf(seen);
        assert.equal(new Set(ids).size, ids.length, 'no repeats');
        assert.deepEqual(
          ended.filter((id) => !ids.includes(id)),
          [],
          'no gaps',
        );
        const times = seen.map((event) => Date.parse((orderBy === 'start_time' ? event.start_time : event.end_time) ?? ''));
        const sorted = [...times].sort((a, b) => (order === 'asc' ? a - b : b - a));
        assert.deepEqual(times, sorted);
        for (const id of fresh) await rest.ended(id);
      });
    }
  }

  it('finds by state, version, trigger and time, the borders closed on the left and open on the right', async () => {
    const { rest } = stack;
    const failed = await rest.ended((await rest.send('throws', 1)).id);
    assert.deepEqual(idsOf(await rest.list('throws', 'state=FAILED')), [failed.id]);
    assert.deepEqual(await rest.list('throws', 'state=SUCCEEDED&state=TERMINATED'), []);
    const versioned = await rest.ended((await rest.send('echo', 1, { headers: { 'evenfall-qualifier': '1' } })).id);
    assert.equal(versioned.version, '1');
    assert.deepEqual(idsOf(await rest.list('echo', 'qualifier=1')), [versioned.id]);
    assert.deepEqual(await rest.list('throws', 'trigger=timer'), []);
    assert.deepEqual(idsOf(await rest.list('throws', 'trigger=api')), [failed.id]);
    for (const [field, time] of [
      ['start_time', failed.start_time],
      ['end_time', failed.end_time],
    ] as const) {
      const later = new Date(Date.parse(time ?? '') + 1).toISOString();
      assert.deepEqual(idsOf(await rest.list('throws', `${field}_after=${time}&${field}_before=${later}`)), [failed.id], field);
      assert.deepEqual(await rest.list('throws', `${field}_before=${time}`), [], field);
      assert.deepEqual(await rest.list('throws', `${field}_after=${later}`), [], field);
    }
    assert.deepEqual(await rest.list('nobody'), [], 'what was deleted may still have events, so nobody is empty');
  });

  it('puts what has not ended before or after all that has, by end', async () => {
    const { rest } = stack;
    await rest.deployExample('echo', { name: 'few' });
    const open: string[] = [];
    for (let i = 0; i < 5; i++) open.push((await rest.send('few', i, { headers: { 'evenfall-delay': '1h' } })).id);
    const done: string[] = [];
    for (let i = 0; i < 3; i++) done.push((await rest.ended((await rest.send('few', i)).id)).id);
    const descending = idsOf(await rest.list('few', 'order_by=end_time&order=desc', 2));
    assert.deepEqual(new Set(descending.slice(0, 5)), new Set(open));
    assert.deepEqual(descending.slice(5), [...done].reverse());
    assert.deepEqual(idsOf(await rest.list('few', 'order_by=end_time&order=asc', 2)), [...descending].reverse());
    assert.equal((await rest.list('few', `end_time_after=2026-01-01T00:00:00Z`)).length, 3, 'what has no end has no time of it');
    assert.equal((await rest.list('few', 'state=QUEUED')).length, 5);
  });

  it('gives pages of the size that was asked for, 20 without one, 100 at most', async () => {
    const size = async (query: string): Promise<number> =>
      (await stack.rest.call<{ events: unknown[] }>('GET', `${F}/echo/events?${query}`)).body.events.length;
    assert.deepEqual(
      await Promise.all([size(''), size('page_size=0'), size('page_size=7'), size('page_size=100'), size('page_size=5000')]),
      [20, 20, 7, 100, 100],
    );
  });
});
