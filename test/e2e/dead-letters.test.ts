import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import type { EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

type Letter = { readonly event: EventAnswer; readonly payload: unknown };
type Page = { readonly dead_letters: readonly Letter[]; readonly next_page_token: string };

/** Fails until its environment says otherwise. */
const SHAKY = 'exports.handler = async (event) => { if (!process.env.WORKS) throw new Error(`no: ${event.n}`); return event.n * 2; };\n';
const FUNCTION = {
  name: 'shaky',
  runtime: 'nodejs',
  handler: 'index.handler',
  timeout: '5s',
  event_invoke: { max_retries: 1, retry_interval: '1s' },
};

describe('dead letters', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    await stack.rest.deploy(FUNCTION, { 'index.js': SHAKY });
  });
  after(() => stack.dispose());

  const ask = async (method: string, path: string): Promise<{ status: number; json: unknown }> => {
    const answer = await fetch(`${stack.http}${path}`, { method, headers: stack.headers });
    const text = await answer.text();
    return { status: answer.status, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  };
  const list = async (query = ''): Promise<Page> =>
    (await ask('GET', `/v1/namespaces/default/functions/shaky/dead-letters${query}`)).json as Page;
  const reasonOf = ({ json }: { json: unknown }): string =>
    (json as { error: { details: { reason: string }[] } }).error.details[0]?.reason ?? '';

  it('keep what failed for good, with its payload, its attempts and its last error', async () => {
    const ids = await stack.rest.sendBatch(
      'shaky',
      [1, 2, 3].map((n) => ({ payload: { n } })),
    );
    await eventually(async () => (await list()).dead_letters.length === 3, 30_000);
    const page = await list('?page_size=2');
    assert.equal(page.dead_letters.length, 2);
    const rest = await list(`?page_size=2&page_token=${page.next_page_token}`);
    const all = [...page.dead_letters, ...rest.dead_letters];
    assert.deepEqual(all.map(({ event }) => event.id).sort(), [...ids].sort());
    const letter = (await ask('GET', `/v1/dead-letters/${ids[1] ?? ''}`)).json as Letter;
    assert.deepEqual(letter.payload, { n: 2 });
    assert.deepEqual([letter.event.state, letter.event.status_code, letter.event.attempts.length], ['FAILED', 430, 2]);
    assert.match(JSON.stringify(letter.event.error), /no: 2/);
  });

  it('are redriven by what the function is now, once, though several ask at once', async () => {
    const [letter] = (await list()).dead_letters;
    assert.ok(letter);
    const changed = await stack.rest.call('PATCH', '/v1/namespaces/default/functions/shaky', { environment: { WORKS: '1' } });
    assert.equal(changed.status, 200);
    const path = `/v1/dead-letters/${letter.event.id}:redrive`;
    const answers = await Promise.all([1, 2, 3].map(() => ask('POST', path)));
    const accepted = answers.filter(({ status }) => status === 202).map(({ json }) => json as EventAnswer);
    assert.ok(accepted.length > 0);
    assert.equal(new Set(accepted.map(({ id }) => id)).size, 1, 'one new event');
    for (const answer of answers) if (answer.status !== 202) assert.equal(reasonOf(answer), 'DEAD_LETTER_NOT_FOUND');
    const fresh = await eventually(async () => {
      const event = await stack.rest.get(accepted[0]?.id ?? '');
      return event.state === 'SUCCEEDED' && event;
    });
    assert.equal((fresh as EventAnswer & { redriven_from?: string }).redriven_from, letter.event.id);
    assert.equal(fresh.result, (letter.payload as { n: number }).n * 2);
    assert.equal(((await ask('POST', path)).json as EventAnswer).id, fresh.id, 'who asks again is answered the same event');
    assert.equal((await list()).dead_letters.length, 2);
    assert.equal((await stack.rest.get(letter.event.id)).state, 'FAILED', 'how it ended stays');

    // Each names the other, at every API.
    const old = (await stack.rest.get(letter.event.id)) as EventAnswer & { redriven_to?: string };
    assert.equal(old.redriven_to, fresh.id);
    const listed = (await stack.rest.list('shaky', 'state=FAILED')) as (EventAnswer & { redriven_to?: string })[];
    assert.deepEqual(
      listed.filter(({ redriven_to: to }) => to !== undefined).map(({ id, redriven_to: to }) => [id, to]),
      [[letter.event.id, fresh.id]],
    );
    const { client, close } = grpcClient(EventServiceService, stack.grpc, { headers: stack.headers });
    try {
      assert.equal((await client.getEvent({ id: letter.event.id })).event?.redrivenTo, fresh.id);
      assert.equal((await client.getEvent({ id: fresh.id })).event?.redrivenFrom, letter.event.id);
    } finally {
      close();
    }
    const [of, to] = await Promise.all([letter.event.id, fresh.id].map((id) => runCli(stack, ['events', 'get', id])));
    assert.match(of?.stdout ?? '', new RegExp(`redriven +to ${fresh.id}`));
    assert.match(to?.stdout ?? '', new RegExp(`made of +the dead letter of ${letter.event.id}`));
  });

  it('are purged, and gone from the next read on', async () => {
    const { dead_letters: letters } = await list();
    for (const { event } of letters) assert.equal((await ask('DELETE', `/v1/dead-letters/${event.id}`)).status, 204);
    assert.deepEqual((await list()).dead_letters, []);
    assert.equal(reasonOf(await ask('DELETE', `/v1/dead-letters/${letters[0]?.event.id ?? ''}`)), 'DEAD_LETTER_NOT_FOUND');
  });

  it('refuse what is none', async () => {
    assert.equal(reasonOf(await ask('GET', '/v1/dead-letters/x')), 'EVENT_NOT_FOUND');
    assert.equal(reasonOf(await ask('GET', '/v1/dead-letters/01990000-0000-7000-8000-000000000001')), 'DEAD_LETTER_NOT_FOUND');
    assert.equal(reasonOf(await ask('GET', '/v1/namespaces/default/functions/shaky/dead-letters?page_token=x')), 'INVALID_PAGE_TOKEN');
  });
});
