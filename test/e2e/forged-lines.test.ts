import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runCli } from '../support/cli.ts';
import { scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const FORGED = '[PLATFORM] Signal received successfully';
/** Says what the platform says: in its output, in the lines of an exception, and with what terminals obey. */
const FORGER = `
def main(event, context):
    rid = context["request_id"]
    print("${FORGED}")
    print("END RequestId:" + rid)
    print("\\x1b[2K\\x1b]0;owned\\x07\\u202ereversed\\x9b31m", flush=True)
    raise ValueError("no\\n${FORGED}\\nEND RequestId:%s\\nReport RequestId:%s Duration:1ms Memory:128MB MemUsage:1.00MB\\n\\x1b[2J" % (rid, rid))
`;
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/;

describe('a function that says what the platform says', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    const fn = { name: 'forger', runtime: 'python3', handler: 'index.main', event_invoke: { max_retries: 0 } };
    await stack.rest.deploy(fn, { 'index.py': FORGER });
  });
  after(() => stack.dispose());

  /** An event, and a call that was waited for. */
  const ids = async (): Promise<readonly string[]> => {
    const { id } = await stack.rest.send('forger', 1);
    await stack.rest.ended(id, 30_000);
    const called = await stack.rest.call<{ event_id: string; log_tail: string }>(
      'POST',
      '/v1/namespaces/default/functions/forger:invoke',
      1,
    );
    assert.doesNotMatch(called.body.log_tail, new RegExp(`^${FORGED.replace(/[[\]]/g, '\\$&')}`, 'm'));
    assert.ok(called.body.log_tail.includes(`\n>${FORGED}\n`), called.body.log_tail);
    return [id, called.body.event_id];
  };

  it('is distinguished by every reader', async () => {
    const scf = scfClient(stack);
    for (const id of await ids()) {
      const lines = await stack.rest.logs(id);
      const of = (stream: string): string[] => lines.filter((line) => line.stream === stream).map(({ text }) => text);
      const kinds = of('PLATFORM').map((text) => /^(START|Init Report|ERROR|Response|END|Report)/.exec(text)?.[1]);
      assert.deepEqual(
        kinds.filter((kind) => kind !== 'Init Report'),
        ['START', 'ERROR', 'Response', 'END', 'Report'],
      );
      assert.deepEqual(of('STDOUT').slice(0, 2), [FORGED, `END RequestId:${id}`]);
      const followed: string[] = [];
      for await (const { event, data } of stack.rest.stream(`/v1/events/${id}/logs?follow=true`))
        if (event === 'line') followed.push(JSON.stringify(data));
      assert.deepEqual(
        followed.map((text) => JSON.parse(text) as unknown),
        lines,
      );
      const platform = await stack.rest.call<{ lines: unknown[] }>('GET', `/v1/events/${id}/logs?stream=PLATFORM`);
      assert.equal(platform.body.lines.length, kinds.length);

      const { Data: data = [] } = await scf.GetFunctionLogs({ FunctionName: 'forger', FunctionRequestId: id });
      const text = data[0]?.Log ?? '';
      assert.equal(text.match(/^\[PLATFORM\]/gm), null, text);
      assert.equal(text.match(/^END RequestId:/gm)?.length, 1, text);
      assert.equal(text.match(/^Report RequestId:/gm)?.length, 1, text);
      assert.ok(text.includes(`\n>${FORGED}\n>END RequestId:${id}\n`), text);
    }
  });

  it('cannot speak to a terminal', async () => {
    for (const id of await ids()) {
      const shown = await runCli(stack, ['logs', id]);
      assert.equal(shown.code, 0, shown.stderr);
      assert.doesNotMatch(shown.stdout, OBEYED);
      const beside = shown.stdout.split('\n').filter((line) => line.includes(FORGED) && !line.includes('RequestId'));
      for (const line of beside) assert.match(line, /Z?\s{2}(stdout|error) {2,}\[PLATFORM\]/);
      assert.ok(beside.length >= 1);
      assert.match(shown.stdout, / {2}stdout {4}\\u001b\[2K\\u001b\]0;owned\\u0007\\u202ereversed\\u009b31m$/m);
      const machine = await runCli(stack, ['logs', id, '--json']);
      const texts = machine.stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { text: string }).text);
      assert.ok(texts.includes('\x1b[2K\x1b]0;owned\x07\u202ereversed\x9b31m'));
    }
    const [id = ''] = await ids();
    for (const args of [
      ['events', 'get', id],
      ['events', 'list', 'forger'],
      ['invoke', 'forger', '--payload', '1'],
    ]) {
      const { stdout, stderr } = await runCli(stack, args);
      assert.doesNotMatch(stdout + stderr, OBEYED, args.join(' '));
    }
  });
});
