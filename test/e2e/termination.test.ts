import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { eventually, patient } from '@evenfall/testkit';
import { isAlive } from '../support/processes.ts';
import type { EventAnswer, LogLineAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const SAMPLE = new URL('../../examples/functions/graceful-killer/index.py', import.meta.url);
/** How late a deadline may be kept on a machine that does other things too. */
const LATE_MS = 200;

const msOf = (time: string | null | undefined): number => Date.parse(time ?? '');
const textsOf = (lines: readonly LogLineAnswer[]): string[] => lines.map((line) => line.text);

describe('terminating an event', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    const { rest } = stack;
    for (const example of ['graceful-killer', 'graceful-killer-node', 'ignores-sigterm', 'sleeps', 'spawns-grandchild', 'echo'])
      await rest.deployExample(example);
  });
  after(() => stack.dispose());

  const start = async (fn: string, payload: unknown = {}): Promise<EventAnswer> => {
    const { id } = await stack.rest.send(fn, payload);
    return stack.rest.reaches(id, 'RUNNING');
  };
  /** Runs, and has written what shows that its handler is where it should be. */
  const startSaying = async (fn: string, text: string, payload: unknown = {}): Promise<EventAnswer> => {
    const event = await start(fn, payload);
    await eventually(async () => textsOf(await stack.rest.logs(event.id)).includes(text), 10_000);
    return event;
  };
  const nothingRuns = async (fn: string): Promise<boolean> => {
    const { body } = await stack.rest.call<{ instances: { function: string; state: string }[] }>('GET', '/v1/instances');
    return body.instances.every((instance) => instance.function !== fn || instance.state === 'IDLE');
  };

  it('lets the sample of the SCF document tidy up: TERMINATED, 200, "END"', async () => {
    assert.match(readFileSync(SAMPLE, 'utf8'), /^# -\*- coding: utf8 -\*-\nimport time\nimport signal\n\nclass GracefulKiller:\n/);
    const { id } = await startSaying('graceful-killer', 'False');
    const answer = await stack.rest.terminate(id, { graceful: true, reason: 'enough' });
    assert.equal(answer.status, 200);
    assert.ok(answer.body.termination?.steps.length, 'the signal is known when the call returns');
    const event = await stack.rest.ended(id);
    assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 200, 'END']);
    const receipt = event.termination;
    assert.deepEqual(
      [receipt?.cause, receipt?.mode, receipt?.requester, receipt?.reason, receipt?.outcome, receipt?.swept_process_count],
      ['USER', 'GRACEFUL', 'local', 'enough', 'RETURNED', 0],
    );
    assert.deepEqual(
      receipt?.steps.map(({ signal, disposition, delivery }) => [signal, disposition, delivery]),
      [['SIGTERM', 'CAUGHT', 'DELIVERED']],
    );
    const lines = textsOf(await stack.rest.logs(id));
    const order = [
      `START RequestId: ${id}`,
      'False',
      'do something before shutdown.',
      'True',
      'Graceful shutdown.',
      `END RequestId:${id}`,
    ].map((text) => lines.indexOf(text));
    assert.ok(!order.includes(-1), lines.join('\n'));
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
      lines.join('\n'),
    );
    assert.ok(lines.includes('[PLATFORM] Signal received successfully'), lines.join('\n'));
    assert.equal(lines.filter((line) => line.startsWith('[PLATFORM]')).length, 1);
    assert.ok(lines.includes(`Response RequestId:${id} RetMsg:"END"`), lines.join('\n'));
    assert.match(lines.at(-1) ?? '', new RegExp(`^Report RequestId:${id} Duration:\\d+ms Memory:128MB MemUsage:[\\d.]+MB$`));
  });

  it('lets its Node twin do the same, and answers wait=ENDED with the end', async () => {
    const { id } = await startSaying('graceful-killer-node', 'working');
    const { status, body: event } = await stack.rest.terminate(id, { graceful: true, wait: 'ENDED' });
    assert.equal(status, 200);
    assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 200, 'END']);
    assert.deepEqual([event.termination?.outcome, event.termination?.steps[0]?.disposition], ['RETURNED', 'CAUGHT']);
    const lines = textsOf(await stack.rest.logs(id));
    assert.ok(lines.includes('Graceful shutdown.') && lines.includes('[PLATFORM] Signal received successfully'), lines.join('\n'));
  });

  it('ends a function without a handler with 439', async () => {
    const { id } = await startSaying('sleeps', 'sleeping', { seconds: 600 });
    const { body: event } = await stack.rest.terminate(id, { graceful: true, grace_period: '10s', wait: 'ENDED' });
    assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 439, null]);
    assert.deepEqual([event.termination?.outcome, event.termination?.steps[0]?.disposition], ['DIED_OF', 'DEFAULT']);
    assert.equal(event.attempts.length, 1, 'a terminated event is not retried');
    assert.ok(textsOf(await stack.rest.logs(id)).includes('[PLATFORM] Signal received successfully'));
  });

  it('ends by force with 499, and its answer is the end', async () => {
    const { id } = await startSaying('graceful-killer', 'False');
    const { status, body: event } = await stack.rest.terminate(id);
    assert.equal(status, 200);
    assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 499, null]);
    assert.deepEqual([event.termination?.mode, event.termination?.outcome], ['FORCE', 'FORCE_KILLED']);
    assert.ok(await nothingRuns('graceful-killer'));
  });

  it('leaves no process, grandchildren of another session included', async () => {
    const event = await start('spawns-grandchild');
    const pid = await eventually(async () => {
      const line = textsOf(await stack.rest.logs(event.id)).find((text) => text.startsWith('grandchild '));
      return line === undefined ? undefined : stack.functionPid(Number(line.split(' ')[1]));
    }, 10_000);
    assert.ok(isAlive(pid));
    const { body: ended } = await stack.rest.terminate(event.id, { wait: 'ENDED' });
    assert.equal(isAlive(pid), false, 'nothing is left when the event has ended');
    assert.ok((ended.termination?.swept_process_count ?? 0) >= 1);
  });

  it('kills what ignores SIGTERM when its grace period is over, not sooner and hardly later', async () => {
    const { id } = await startSaying('ignores-sigterm', 'working');
    const { body: event } = await stack.rest.terminate(id, { graceful: true, grace_period: '1s', wait: 'ENDED' });
    assert.deepEqual([event.state, event.status_code, event.termination?.outcome], ['TERMINATED', 499, 'FORCE_KILLED']);
    const [first, last, ...more] = event.termination?.steps ?? [];
    assert.deepEqual([first?.signal, first?.disposition, last?.signal, more.length], ['SIGTERM', 'IGNORED', 'SIGKILL', 0]);
    const tookMs = msOf(last?.sent_time) - msOf(first?.sent_time);
    assert.ok(tookMs >= 1_000 && tookMs <= 1_000 + patient(LATE_MS), `killed after ${tookMs} ms`);
    assert.ok(msOf(event.end_time) - msOf(first?.sent_time) <= 1_000 + 2 * LATE_MS);
    assert.equal(event.termination?.policy?.grace_period, '1s');
  });

  it('lets a second terminate shorten the grace period, never stretch it', async () => {
    const { id } = await startSaying('ignores-sigterm', 'working');
    const { body: first } = await stack.rest.terminate(id, { graceful: true, grace_period: '60s' });
    assert.equal(first.state, 'TERMINATING');
    const began = performance.now();
    const { status, body: event } = await stack.rest.terminate(id, { graceful: true, grace_period: '1s', wait: 'ENDED' });
    assert.equal(status, 200);
    const tookMs = performance.now() - began;
    assert.ok(tookMs < patient(5_000), `${tookMs} ms`);
    assert.deepEqual([event.state, event.status_code, event.termination?.outcome], ['TERMINATED', 499, 'FORCE_KILLED']);

    const other = await startSaying('ignores-sigterm', 'working');
    await stack.rest.terminate(other.id, { graceful: true, grace_period: '1s' });
    const { body: still } = await stack.rest.terminate(other.id, { graceful: true, grace_period: '60s', wait: 'ENDED' });
    assert.equal(still.state, 'TERMINATED');
    assert.ok(msOf(still.end_time) - msOf(still.termination?.request_time) < 5_000);
  });

  it('answers a second graceful terminate at once: the signal is known', async () => {
    const { id } = await startSaying('ignores-sigterm', 'working');
    await stack.rest.terminate(id, { graceful: true, grace_period: '30s' });
    const began = performance.now();
    const { status } = await stack.rest.terminate(id, { graceful: true, grace_period: '30s' });
    assert.equal(status, 200);
    assert.ok(performance.now() - began < 3_000, `${performance.now() - began} ms`);
    assert.equal((await stack.rest.terminate(id)).body.state, 'TERMINATED', 'force always wins');
  });

  it('escalates step by step', async () => {
    const { id } = await startSaying('ignores-sigterm', 'working');
    const escalation = [{ signal: 'SIGHUP', wait: '10s' }];
    const { body: event } = await stack.rest.terminate(id, { graceful: true, grace_period: '0.3s', escalation, wait: 'ENDED' });
    assert.deepEqual(
      event.termination?.steps.map((step) => step.signal),
      ['SIGTERM', 'SIGHUP'],
    );
    assert.deepEqual([event.state, event.status_code, event.termination?.outcome], ['TERMINATED', 439, 'DIED_OF']);
  });

  it('refuses to terminate what has ended, and leaves it as it is', async () => {
    const { id } = await stack.rest.send('echo', { a: 1 });
    const ended = await stack.rest.ended(id);
    for (const body of [{}, { graceful: true }]) {
      const { status, body: answer } = await stack.rest.terminate(id, body);
      assert.deepEqual([status, answer.error.details[0]?.reason], [400, 'EVENT_ENDED']);
    }
    assert.deepEqual(await stack.rest.get(id), ended);
  });

  it('ends a waiting event that then never starts', async () => {
    for (const body of [{}, { graceful: true }, { graceful: true, wait: 'ENDED' }]) {
      const { id } = await stack.rest.send('echo', {}, { headers: { 'evenfall-delay': '2s' } });
      const { status, body: event } = await stack.rest.terminate(id, body);
      assert.equal(status, 200);
      assert.deepEqual(
        [event.state, event.status_code, event.attempts.length, event.termination?.outcome],
        ['TERMINATED', 499, 0, 'NEVER_STARTED'],
      );
    }
    const late = await stack.rest.send('echo', {}, { headers: { 'evenfall-delay': '2.5s' } });
    await stack.rest.ended(late.id);
    const events = (await stack.rest.list('echo', 'state=TERMINATED')).filter((event) => event.attempts.length > 0);
    assert.deepEqual(events, [], 'the time of all of them has come, and none has started');
  });

  it('refuses a grace period longer than the function allows, and the event runs on', async () => {
    const { id } = await startSaying('ignores-sigterm', 'working');
    const { status, body } = await stack.rest.terminate(id, { graceful: true, grace_period: '2h' });
    assert.deepEqual([status, body.error.details[0]?.reason], [400, 'GRACE_PERIOD_TOO_LONG']);
    const event = await stack.rest.get(id);
    assert.deepEqual([event.state, event.termination], ['RUNNING', null]);
    await stack.rest.terminate(id);
  });

  it('has no process of a function left when every event has ended', async () => {
    await eventually(async () => {
      const { body } = await stack.rest.call<{ instances: { state: string }[] }>('GET', '/v1/instances');
      const metrics = await (await fetch(`${stack.metrics}/metrics`)).text();
      const ready = Number(/^evenfall_instance_agent_ready_processes(?:\{.*\})? (\d+)/m.exec(metrics)?.[1]);
      return body.instances.every(({ state }) => state === 'IDLE') && stack.functionPids().length <= body.instances.length + ready;
    }, 10_000);
  });
});
