import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '@evenfall/testkit';
import { runCli, runProgram } from '../support/cli.ts';
import type { EventAnswer, LogLineAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/functions/${name}`, import.meta.url));
const DEMO = fileURLToPath(new URL('../../tools/cli/src/demo/main.ts', import.meta.url));

describe('the quick start, word by word', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.dispose());
  const cli = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli(stack, args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await cli('--json', ...args)) as T;

  it('deploys, twice over, and lists what there is', async () => {
    assert.match(await cli('deploy', example('graceful-killer')), /graceful-killer/);
    await cli('deploy', example('graceful-killer'));
    await cli('deploy', example('echo'));
    assert.match(await cli('functions', 'list'), /echo[\s\S]*graceful-killer/);
    assert.match(await cli('functions', 'get', 'echo'), /nodejs/);
  });

  it('invokes and prints the answer', async () => {
    assert.match(await cli('invoke', 'echo', '--payload', '{"hello":"evening"}'), /"hello":\s*"evening"/);
    const answer = await json<{ status_code: number; result: unknown }>('invoke', 'echo', '--payload', '[1,2]');
    assert.deepEqual([answer.status_code, answer.result], [200, [1, 2]]);
  });

  it('hands over, watches, terminates gracefully, and shows the log and the receipt', async () => {
    const accepted = await json<EventAnswer>('invoke', 'graceful-killer', '--async', '--payload', '{}');
    const watching = runCli(stack, ['events', 'watch', accepted.id]);
    await eventually(async () => (await json<EventAnswer>('events', 'get', accepted.id)).state === 'RUNNING', 20_000);
    await eventually(async () => (await stack.rest.logs(accepted.id)).some(({ text }) => text === 'False'), 20_000);
    const ended = await json<EventAnswer>(
      'events',
      'terminate',
      accepted.id,
      '--graceful',
      '--grace',
      '9s',
      '--reason',
      'enough',
      '--wait',
    );
    assert.deepEqual([ended.state, ended.status_code, ended.result, ended.termination?.reason], ['TERMINATED', 200, 'END', 'enough']);
    const watched = await watching;
    assert.equal(watched.code, 0);
    assert.match(watched.stdout, /TERMINATED/);
    const log = await cli('logs', accepted.id);
    assert.match(log, /START RequestId[\s\S]*\[PLATFORM\] Signal received successfully[\s\S]*Report RequestId/);
    assert.match(await cli('events', 'get', accepted.id), /SIGTERM/);
    const list = await json<{ events: EventAnswer[] }>('events', 'list', 'graceful-killer', '--state', 'TERMINATED');
    assert.deepEqual(
      list.events.map(({ id }) => id),
      [accepted.id],
    );
  });

  it('says what is wrong on stderr, and is not 0', async () => {
    for (const args of [
      ['invoke', 'unknown'],
      ['events', 'get', '01990000-0000-7000-8000-00000000dead'],
      ['events', 'terminate', 'nonsense'],
      ['invoke', 'echo', '--payload', '{'],
      ['deploy', example('nothing')],
      ['nothing'],
    ]) {
      const { code, stdout, stderr } = await runCli(stack, args);
      assert.notEqual(code, 0, args.join(' '));
      assert.equal(stdout, '', args.join(' '));
      assert.match(stderr, /\S/, args.join(' '));
      assert.doesNotMatch(stderr, /\n\s+at /, args.join(' '));
    }
    const unreachable = await runCli({ http: 'http://127.0.0.1:1', accessKey: '' }, ['functions', 'list']);
    assert.notEqual(unreachable.code, 0);
    assert.match(unreachable.stderr, /127\.0\.0\.1:1/);
  });

  it('plays the demo against this platform', async () => {
    const { code, stdout, stderr } = await runProgram([DEMO, '--json'], { EVENFALL_URL: stack.http, EVENFALL_DATA_DIR: stack.dataDir });
    assert.equal(code, 0, stderr);
    const document = JSON.parse(stdout) as { ok: boolean; event: EventAnswer; log: LogLineAnswer[]; receipt: { outcome: string } };
    assert.deepEqual([document.ok, document.event.result, document.receipt.outcome], [true, 'END', 'RETURNED']);
    assert.ok(document.log.some(({ text }) => text === '[PLATFORM] Signal received successfully'));
  });
});
