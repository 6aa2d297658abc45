import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, filesIn, goPrograms, nodePackage, pythonPackages, rustProgram } from '@evenfall/testkit';
import type { EventAnswer, LogLineAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const EXAMPLES = '../../examples/functions';
const FUNCTIONS = '../functions';
/** A loaded machine may take its time; none of this is about speed. */
const WITHIN_MS = 60_000;
const ONCE = { event_invoke: { max_retries: 0 } };

const textsOf = (lines: readonly LogLineAnswer[]): string[] => lines.map((line) => line.text);
/** Errors of events, as far as they are looked at here. */
const errorOf = (event: EventAnswer) =>
  event.error as { errorMessage: string; errorType?: string; stackTrace?: string; statusCode: number; requestId: string };

describe('functions built with the clouds’ own clients', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ env: { EVENFALL_INSTANCE_IDLE: '5s' } });
  });
  after(() => stack.dispose());

  const run = async (fn: string, payload: unknown): Promise<EventAnswer> => {
    const { id } = await stack.rest.send(fn, payload);
    return stack.rest.ended(id, WITHIN_MS);
  };
  const wrote = (id: string, text: string) =>
    eventually(async () => textsOf(await stack.rest.logs(id)).find((line) => line.includes(text)), WITHIN_MS);
  /** Starts it, waits until it wrote something, terminates it gracefully, and answers its end. */
  const terminate = async (fn: string, payload: unknown, text: string): Promise<EventAnswer> => {
    const { id } = await stack.rest.send(fn, payload);
    await wrote(id, text);
    const answer = await stack.rest.terminate(id, { graceful: true, grace_period: '20s', wait: 'ENDED' });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return stack.rest.ended(id, WITHIN_MS);
  };
  const assertTidied = async (event: EventAnswer): Promise<void> => {
    assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 200, 'END'], JSON.stringify(event.error));
    assert.deepEqual([event.termination?.outcome, event.termination?.steps[0]?.delivery], ['RETURNED', 'DELIVERED']);
    assert.ok(textsOf(await stack.rest.logs(event.id)).includes('[PLATFORM] Signal received successfully'));
  };

  describe('in Go', () => {
    const programs = goPrograms(pathOf(`${FUNCTIONS}/go`));
    const skip = programs === undefined && 'there is no go here';
    const program = (name: string): Buffer => programs?.[name] ?? assert.fail(`no program ${name}`);

    describe('by aws-lambda-go', { skip }, () => {
      const custom = { runtime: 'custom', timeout: '50s', memory_mb: 256, ...ONCE };
      before(async () => {
        const files = { bootstrap: program('lambda') };
        await stack.rest.deploy({ name: 'lambda-go', ...custom }, files);
        await stack.rest.deploy({ name: 'lambda-go-extension', ...custom, environment: { EXTENSION: '1' } }, files);
        await stack.rest.deploy({ name: 'lambda-go-leaves', ...custom, environment: { INIT: 'fail' } }, files);
      });

      it('returns, knows its id and its deadline, and is used again', async () => {
        for (const cold of [true, false]) {
          const event = await run('lambda-go', {});
          assert.deepEqual(event.result, { id: event.id, timed: true, name: 'lambda-go' });
          assert.equal(event.attempts[0]?.cold_start, cold);
        }
      });

      it('fails and panics with its own words', async () => {
        const failed = await run('lambda-go', { do: 'fail' });
        assert.deepEqual([failed.state, failed.status_code], ['FAILED', 430]);
        const { errorMessage, errorType, requestId } = errorOf(failed);
        assert.deepEqual([errorMessage, errorType, requestId], ['went wrong', 'errorString', failed.id]);
        const panicked = await run('lambda-go', { do: 'panic' });
        assert.deepEqual([panicked.status_code, errorOf(panicked).errorMessage], [430, 'in a panic']);
        assert.match(errorOf(panicked).stackTrace ?? '', /main\.go:\d+/);
      });

      it('may not answer more than 6 MB', async () => {
        const event = await run('lambda-go', { do: 'large', bytes: 6 * 1024 * 1024 + 200 });
        assert.deepEqual([event.status_code, errorOf(event).errorType], [407, 'Function.ResponseSizeTooLarge']);
      });

      it('cleans up when it is asked to stop', async () => {
        await assertTidied(await terminate('lambda-go', { do: 'sleep' }, 'sleeping'));
      });

      it('may register an extension to be notified', async () => {
        const event = await terminate('lambda-go-extension', { do: 'sleep' }, 'sleeping');
        assert.equal(event.state, 'TERMINATED');
        assert.ok(await wrote(event.id, 'notified by the extension'));
      });

      it('that exits before it is ready says so', async () => {
        const event = await run('lambda-go-leaves', {});
        assert.equal(event.status_code, 443);
        assert.match(errorOf(event).errorMessage, /exited with code 5 before it was ready/);
        assert.ok(await wrote(event.id, 'leaving'));
      });
    });

    describe('by scf-go-lib', { skip }, () => {
      before(() =>
        stack.rest.deploy(
          { name: 'scf-go', runtime: 'go1', timeout: '50s', environment: { MODE: 'blue' }, ...ONCE },
          { main: program('scf') },
        ),
      );

      it('returns, knows its context, and is used again', async () => {
        for (const calls of [1, 2]) {
          const before = Date.now();
          const event = await run('scf-go', {});
          const { deadline, ...rest } = event.result as { deadline: number };
          assert.deepEqual(rest, { id: event.id, name: 'scf-go', memory: 128, limit: 50_000, mode: 'blue', timed: true, calls });
          assert.ok(deadline >= before + 50_000 && deadline <= Date.now() + 50_000);
        }
      });

      it('fails, panics and exits as the table of codes says', async () => {
        const failed = await run('scf-go', { do: 'fail' });
        assert.deepEqual([failed.status_code, errorOf(failed).errorMessage, errorOf(failed).errorType], [430, 'went wrong', 'errorString']);
        const panicked = await run('scf-go', { do: 'panic' });
        assert.deepEqual([panicked.status_code, errorOf(panicked).errorMessage], [430, 'in a panic']);
        assert.match(errorOf(panicked).stackTrace ?? '', /main\.go:\d+/);
        const left = await run('scf-go', { do: 'exit' });
        assert.deepEqual([left.status_code, left.attempts[0]?.outcome], [439, 'EXITED']);
        const large = await run('scf-go', { do: 'large', bytes: 6 * 1024 * 1024 + 1 });
        assert.equal(large.status_code, 407);
      });

      it('does what the sample of the SCF document does, word for word: exits when it is asked to stop', async () => {
        const sample = goPrograms(pathOf(`${EXAMPLES}/graceful-killer-go`));
        assert.match(readFileSync(pathOf(`${EXAMPLES}/graceful-killer-go/main.go`), 'utf8'), /signal\.Notify\(sigs, syscall\.SIGTERM\)/);
        await stack.rest.deployExample('graceful-killer-go', {}, { main: sample?.['graceful-killer-go'] ?? assert.fail('not built') });
        const event = await terminate('graceful-killer-go', {}, 'sleep: 1');
        assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 439, null]);
        const { termination } = event;
        assert.deepEqual([termination?.outcome, termination?.steps.length, termination?.steps[0]?.delivery], ['EXITED', 1, 'DELIVERED']);
        assert.equal(termination?.steps[0]?.disposition, 'UNKNOWN', 'Go catches every signal for itself: from outside nothing can be said');
        const lines = textsOf(await stack.rest.logs(event.id));
        assert.ok(
          lines.some((line) => line.endsWith('receive signal terminated')) && lines.includes('[PLATFORM] Signal received successfully'),
        );
        assert.ok(
          lines.some((line) => line.includes('User process exit when running')),
          lines.join('\n'),
        );
      });
    });

    it('by fc-runtime-go-sdk runs the hooks of the FC document’s sample, word for word', { skip }, async () => {
      const hook = { handler: 'main', timeout: '10s' };
      const fn = { name: 'fc-go', runtime: 'custom', timeout: '10s', initializer: hook, pre_stop: hook, ...ONCE };
      await stack.rest.deploy(fn, { bootstrap: program('fc-hooks') });
      const first = await run('fc-go', {});
      assert.deepEqual([first.state, first.result], ['SUCCEEDED', 'hello world!'], JSON.stringify(first.error));
      const lines = await stack.rest.logs(first.id);
      assert.equal(textsOf(lines).filter((line) => line.endsWith('this is initialize handler')).length, 1);
      // The client writes these to stdout, and the sample its own to stderr: between two pipes there is no order.
      const ofClient = (all: readonly LogLineAnswer[]) => textsOf(all).filter((line) => line.startsWith('FC '));
      assert.deepEqual(ofClient(lines), [
        `FC Initialize Start RequestId: ${first.id}`,
        `FC Initialize End RequestId: ${first.id}`,
        `FC Invoke Start RequestId: ${first.id}`,
        `FC Invoke End RequestId: ${first.id}`,
      ]);
      const second = await run('fc-go', {});
      const instanceId = first.attempts[0]?.instance_id ?? '';
      assert.equal(second.attempts[0]?.instance_id, instanceId);
      // An idle instance is stopped in order: its PreStop hook runs, and is found under the id of the instance.
      const expected = [`FC PreStop Start RequestId: ${instanceId}`, `FC PreStop End RequestId: ${instanceId}`];
      await eventually(async () => {
        const output = await stack.rest.logs(instanceId);
        assert.deepEqual(ofClient(output), expected);
        return textsOf(output).some((line) => line.endsWith('this is preStop handler'));
      }, WITHIN_MS);
    });
  });

  describe('in Python', () => {
    const client = pythonPackages(pathOf(`${FUNCTIONS}/python/requirements.txt`));
    const flask = pythonPackages(pathOf(`${EXAMPLES}/graceful-killer-flask/requirements.txt`));
    const skip = (!client || !flask) && 'there is no python3 with venv here';

    it('by awslambdaric: returns, throws, tidies up', { skip }, async () => {
      assert.ok(client);
      const bootstrap = `#!/bin/sh\nexec ${client.python} -m awslambdaric "$_HANDLER"\n`;
      const files = { ...client.files, ...filesIn(pathOf(`${FUNCTIONS}/python`)), bootstrap };
      await stack.rest.deploy({ name: 'lambda-python', runtime: 'custom', handler: 'app.handler', timeout: '50s', ...ONCE }, files);
      const event = await run('lambda-python', {});
      assert.deepEqual(event.result, { id: event.id, name: 'lambda-python', left: true }, JSON.stringify(event.error));
      const failed = await run('lambda-python', { do: 'fail' });
      const { errorMessage, errorType, stackTrace } = errorOf(failed);
      assert.deepEqual([failed.status_code, errorMessage, errorType], [430, 'went wrong', 'ValueError']);
      assert.match(stackTrace ?? '', /app\.py", line \d+, in handler/);
      await assertTidied(await terminate('lambda-python', { do: 'sleep' }, 'sleeping'));
      await stack.rest.deploy({ name: 'lambda-python-lost', runtime: 'custom', handler: 'no.handler', timeout: '50s', ...ONCE }, files);
      const lost = await run('lambda-python-lost', {});
      assert.deepEqual([lost.status_code, errorOf(lost).errorType], [443, 'Runtime.ImportModuleError']);
    });

    it('by Flask: the sample of the SCF document, word for word, tidies up', { skip }, async () => {
      assert.ok(flask);
      const files = { ...flask.files, scf_bootstrap: `#!/bin/sh\nexec ${flask.python} app.py\n` };
      await stack.rest.deployExample('graceful-killer-flask', {}, files);
      const event = await terminate('graceful-killer-flask', {}, 'False');
      await assertTidied(event);
      assert.equal(event.termination?.steps[0]?.disposition, 'CAUGHT');
      const lines = textsOf(await stack.rest.logs(event.id));
      for (const line of ['do something before shutdown.', 'Graceful shutdown.']) assert.ok(lines.includes(line), lines.join('\n'));
    });
  });

  const rust = rustProgram(pathOf(`${FUNCTIONS}/rust`), 'bootstrap');
  it('by lambda_runtime, in Rust: returns and fails', { skip: !rust && 'it takes a minute to build: set EVENFALL_TEST_RUST' }, async () => {
    assert.ok(rust);
    await stack.rest.deploy({ name: 'lambda-rust', runtime: 'custom', timeout: '50s', ...ONCE }, { bootstrap: rust });
    const event = await run('lambda-rust', {});
    assert.deepEqual(event.result, { id: event.id, memory: 128 }, JSON.stringify(event.error));
    const failed = await run('lambda-rust', { do: 'fail' });
    assert.deepEqual([failed.status_code, errorOf(failed).errorMessage], [430, 'went wrong']);
  });

  it('by Express: a web function returns, fails and tidies up', async () => {
    const bootstrap = `#!/bin/sh\nexec ${process.execPath} server.js\n`;
    const files = { ...nodePackage(pathOf(`${FUNCTIONS}/express`)), bootstrap };
    await stack.rest.deploy({ name: 'express', runtime: 'web', timeout: '50s', memory_mb: 256, ...ONCE }, files);
    const event = await run('express', { n: 1 });
    assert.deepEqual(event.result, { id: event.id, n: 1 }, JSON.stringify(event.error));
    const failed = await run('express', { do: 'fail' });
    assert.equal(failed.status_code, 430);
    assert.match(errorOf(failed).errorMessage, /answered 500: [^]*went wrong/);
    await assertTidied(await terminate('express', { do: 'sleep' }, 'sleeping'));
  });

  it('in bash and curl: the example of a custom runtime returns and tidies up', async () => {
    await stack.rest.deployExample('custom-bash');
    assert.deepEqual((await run('custom-bash', { n: 1 })).result, { n: 1 });
    await assertTidied(await terminate('custom-bash', { seconds: 50 }, 'working on'));
  });
});
