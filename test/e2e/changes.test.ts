// What a deploy changes, deletes and makes anew reaches events that were accepted before; keys and pages keep their promises.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { type ErrorAnswer, type EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { zipOf } from '../support/zip.ts';

const FUNCTIONS = '/v1/namespaces/default/functions';
const NODE = { runtime: 'nodejs', handler: 'index.h', timeout: '30s' };
const BAD = "exports.h = async () => { throw new Error('bug in v1'); };";
const codeOf = (text: string): string => `exports.h = async () => '${text}';`;

describe('a function that changes', { timeout: 300_000, concurrency: 4 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.dispose());

  const putCode = async (name: string, source: string): Promise<void> => {
    const headers = { 'content-type': 'application/zip' };
    const { status } = await stack.rest.call('PUT', `${FUNCTIONS}/${name}/code`, await zipOf({ 'index.js': source }), { headers });
    assert.equal(status, 200);
  };
  const remove = async (name: string): Promise<void> => {
    assert.equal((await stack.rest.call('DELETE', `${FUNCTIONS}/${name}`)).status, 204);
  };
  const switchOff = async (name: string, memoryMb = 0): Promise<void> => {
    assert.equal((await stack.rest.call('PUT', `${FUNCTIONS}/${name}/reserved-concurrency`, { memory_mb: memoryMb })).status, 200);
  };
  const switchOn = (name: string) => stack.rest.call('DELETE', `${FUNCTIONS}/${name}/reserved-concurrency`);
  const codes = ({ attempts }: EventAnswer): number[] => attempts.map(({ status_code: code }) => code);
  const keyed = (name: string, key: string, body: string, more: Record<string, string> = {}) =>
    stack.rest.call<EventAnswer & ErrorAnswer>('POST', `${FUNCTIONS}/${name}/events`, body, {
      headers: { 'idempotency-key': key, ...more },
    });

  it('runs the retry of an event on the code that has mended it, and the attempts name their revisions', async () => {
    const retries = { max_retries: 2, retry_interval: '2s' };
    await stack.rest.deploy({ ...NODE, name: 'fix', event_invoke: retries }, { 'index.js': BAD });
    const { id } = await stack.rest.send('fix', 1);
    await eventually(async () => codes(await stack.rest.get(id))[0] === 430, 20_000);
    await putCode('fix', codeOf('fixed'));
    const event = await stack.rest.reaches(id, 'SUCCEEDED', 30_000);
    assert.equal(event.result, 'fixed');
    assert.deepEqual(codes(event), [430, 200]);
    const [first, second] = event.attempts.map(({ revision }) => revision);
    assert.ok(first != null && second != null && second > first, `${first} ${second}`);
  });

  it('runs what starts after the update was answered on the new code and settings, though it was accepted before', async () => {
    const source = (text: string): string =>
      `exports.h = async () => { await new Promise((r) => setTimeout(r, 700)); return '${text}' + (process.env.MARK ?? ''); };`;
    await stack.rest.deploy({ ...NODE, name: 'backlog' }, { 'index.js': source('old') });
    await switchOff('backlog', 128);
    const ids = await stack.rest.sendBatch(
      'backlog',
      Array.from({ length: 6 }, () => ({ payload: 1 })),
    );
    await stack.rest.ended(ids[0] ?? '', 20_000);
    await putCode('backlog', source('new'));
    const changedMs = Date.now();
    const events = await Promise.all(ids.map((id) => stack.rest.ended(id, 40_000)));
    const late = events.filter(({ start_time: time }) => Date.parse(time ?? '') > changedMs + 250);
    assert.ok(late.length >= 3, 'some have started later');
    for (const { result } of late) assert.equal(result, 'new');
    const { status } = await stack.rest.call('PATCH', `${FUNCTIONS}/backlog`, { environment: { MARK: '!' } });
    assert.equal(status, 200);
    assert.equal((await stack.rest.ended((await stack.rest.send('backlog', 1)).id, 20_000)).result, 'new!');
  });

  it('that is deleted ends what waits with 435, at once, and what is delayed when it is due', async () => {
    await stack.rest.deploy({ ...NODE, name: 'goes' }, { 'index.js': codeOf('no') });
    await switchOff('goes');
    const [waits = '', delayed = ''] = await stack.rest.sendBatch('goes', [{ payload: 1 }, { payload: 2, delay: '4s' }]);
    await remove('goes');
    const event = await stack.rest.reaches(waits, 'FAILED', 10_000);
    assert.equal(event.status_code, 435);
    assert.equal((event.error as { requestId?: string }).requestId, waits);
    assert.equal((await stack.rest.reaches(delayed, 'FAILED', 20_000)).status_code, 435);
  });

  it('that is made anew under its name is another one: no event of before runs, and its keys are its own', async () => {
    await stack.rest.deploy({ ...NODE, name: 'again' }, { 'index.js': codeOf('old') });
    const first = await keyed('again', 'k', '1');
    assert.equal(first.status, 202);
    await stack.rest.ended(first.body.id);
    const delayed = await stack.rest.send('again', 1, { headers: { 'evenfall-delay': '5s' } });
    await remove('again');
    await stack.rest.deploy({ ...NODE, name: 'again' }, { 'index.js': codeOf('new') });
    const own = await keyed('again', 'k', '2');
    assert.equal(own.status, 202, JSON.stringify(own.body));
    assert.notEqual(own.body.id, first.body.id);
    assert.equal((await stack.rest.reaches(own.body.id, 'SUCCEEDED')).result, 'new');
    const { status_code: code, state } = await stack.rest.ended(delayed.id, 30_000);
    assert.deepEqual([state, code], ['FAILED', 435]);
  });

  it('answers a key that comes again with the event as it is, and refuses another request under it', async () => {
    await stack.rest.deploy({ ...NODE, name: 'keys' }, { 'index.js': codeOf('done') });
    const first = await keyed('keys', 'k', '"first"');
    const ended = await stack.rest.ended(first.body.id);
    const same = await keyed('keys', 'k', '"first"');
    assert.deepEqual([same.status, same.body.id, same.body.state], [202, ended.id, 'SUCCEEDED']);
    assert.equal(same.body.create_time, ended.create_time);
    for (const [body, more] of [
      ['"SECOND"', {}],
      ['"first"', { 'evenfall-delay': '5s' }],
    ] as const) {
      // prettier-ignore
      const other = await keyed('keys', 'k', body, more);
      const [detail] = other.body.error.details;
      assert.deepEqual([other.status, detail?.reason], [409, 'IDEMPOTENCY_KEY_REUSED'], JSON.stringify(other.body));
    }
    const many = await Promise.all(Array.from({ length: 20 }, (_, n) => keyed('keys', 'race', String(n % 2))));
    const accepted = many.filter(({ status }) => status === 202);
    assert.ok(many.every(({ status }) => status === 202 || status === 409));
    assert.equal(accepted.length, 10, 'those with the payload that came first');
    assert.equal(new Set(accepted.map(({ body }) => body.id)).size, 1);
  });

  it('refuses a delay that can only expire', async () => {
    await stack.rest.deploy({ ...NODE, name: 'delays', event_invoke: { max_event_age: '60s' } }, { 'index.js': codeOf('') });
    for (const [delay, expected] of [
      ['60s', 400],
      ['59.5s', 400],
      ['59s', 202],
    ] as const) {
      // prettier-ignore
      const { status } = await stack.rest.call('POST', `${FUNCTIONS}/delays/events`, '1', { headers: { 'evenfall-delay': delay } });
      assert.equal(status, expected, delay);
    }
  });

  it('ends an event when its own age is over, behind one that may wait longer', async () => {
    await stack.rest.deploy({ ...NODE, name: 'ttl' }, { 'index.js': codeOf('') });
    await switchOff('ttl');
    const long = await stack.rest.send('ttl', 'may wait 6 h');
    const config = await stack.rest.call('PUT', `${FUNCTIONS}/ttl/event-invoke-config`, { max_event_age: '60s' });
    assert.equal(config.status, 200);
    const short = await stack.rest.send('ttl', '60 s and no longer');
    await stack.rest.reaches(short.id, 'EXPIRED', 75_000);
    await switchOn('ttl');
    await stack.rest.reaches(long.id, 'SUCCEEDED', 20_000);
  });

  it('shows all events in a walk through the pages, though they start and end meanwhile', async () => {
    await stack.rest.deploy({ ...NODE, name: 'walked' }, { 'index.js': codeOf('') });
    for (const order of ['desc', 'asc']) {
      await switchOff('walked');
      const ids = await stack.rest.sendBatch(
        'walked',
        Array.from({ length: 6 }, () => ({ payload: 1 })),
      );
      const path = `${FUNCTIONS}/walked/events?page_size=2&order=${order}`;
      const seen: string[] = [];
      for (let token = ''; ;) {
        const page = await stack.rest.call<{ events: EventAnswer[]; next_page_token: string }>('GET', `${path}&page_token=${token}`);
        seen.push(...page.body.events.map(({ id }) => id));
        token = page.body.next_page_token;
        if (token === '') break;
        await switchOn('walked');
        for (const id of ids) await stack.rest.ended(id, 20_000);
      }
      assert.deepEqual(seen.filter((id) => ids.includes(id)).sort(), [...ids].sort(), order);
    }
  });
});
