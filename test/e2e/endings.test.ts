// Every way a function can end, in every runtime, left alone, ended by force and asked to end: what its event, its receipt and its log say then, and
// that no process of it is left.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, filesIn, goPrograms, type PackageFiles } from '@evenfall/testkit';
import { pidsWithEnvironment } from '../support/processes.ts';
import type { EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const WITHIN_MS = 90_000;
/** How long it works before its behaviour: long enough to be stopped before, short where it is not stopped. */
const WORKS_MS = { alone: 200, force: 60_000, graceful: 60_000 } as const;
const GRACE = '1s';

const RUNTIMES = ['python3', 'nodejs', 'custom', 'go1', 'web'] as const;
const BEHAVIOURS = [
  'returns',
  'throws',
  'exits 0',
  'exits 1',
  'crashes',
  'devours',
  'overstays',
  'ignores',
  'tidies',
  'leaves',
  'blocks',
  'spawns',
  'floods',
  'cleans',
  'fosters',
] as const;
const TREATMENTS = ['alone', 'force', 'graceful'] as const;
type Runtime = (typeof RUNTIMES)[number];
type Behaviour = (typeof BEHAVIOURS)[number];
type Treatment = (typeof TREATMENTS)[number];

/** What must be seen of an event. */
type Expected = {
  readonly state: 'SUCCEEDED' | 'FAILED' | 'TERMINATED';
  readonly code: number;
  /** How the attempt ended; for one that was terminated, the receipt says the same. */
  readonly outcome: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly result?: string;
  /** Signals of the receipt, each with what was known of the process before it. */
  readonly steps?: readonly string[];
  /** What it or a child of it still does after the signal is in its log, and nothing had to be swept. */
  readonly cleansUp?: boolean;
};

const succeeded: Expected = { state: 'SUCCEEDED', code: 200, outcome: 'RETURNED', result: 'DONE' };
const ALONE: Readonly<Record<Behaviour, Expected>> = {
  returns: succeeded,
  throws: { state: 'FAILED', code: 430, outcome: 'THREW' },
  'exits 0': { state: 'FAILED', code: 439, outcome: 'EXITED' },
  'exits 1': { state: 'FAILED', code: 439, outcome: 'EXITED', exitCode: 1 },
  crashes: { state: 'FAILED', code: 439, outcome: 'DIED_OF', signal: 'SIGSEGV' },
  devours: { state: 'FAILED', code: 434, outcome: 'OUT_OF_MEMORY' },
  overstays: { state: 'FAILED', code: 433, outcome: 'TIMED_OUT' },
  ignores: succeeded,
  tidies: succeeded,
  leaves: succeeded,
  blocks: succeeded,
  spawns: succeeded,
  floods: succeeded,
  cleans: succeeded,
  fosters: succeeded,
};
const FORCED: Expected = { state: 'TERMINATED', code: 499, outcome: 'FORCE_KILLED', steps: ['SIGKILL'] };
const died: Expected = { state: 'TERMINATED', code: 439, outcome: 'DIED_OF', signal: 'SIGTERM', steps: ['SIGTERM DEFAULT'] };
const outlasted = (disposition: string): Expected => ({
  state: 'TERMINATED',
  code: 499,
  outcome: 'FORCE_KILLED',
  steps: [`SIGTERM ${disposition}`, 'SIGKILL'],
});
const ASKED: Readonly<Partial<Record<Behaviour, Expected>>> = {
  ignores: outlasted('IGNORED'),
  tidies: { state: 'TERMINATED', code: 200, outcome: 'RETURNED', result: 'END', steps: ['SIGTERM CAUGHT'] },
  cleans: { state: 'TERMINATED', code: 200, outcome: 'RETURNED', result: 'END', steps: ['SIGTERM CAUGHT'], cleansUp: true },
  fosters: { ...died, cleansUp: true },
  leaves: { state: 'TERMINATED', code: 439, outcome: 'EXITED', steps: ['SIGTERM CAUGHT'] },
  blocks: outlasted('BLOCKED'),
};

function expectedOf(runtime: Runtime, behaviour: Behaviour, treatment: Treatment): Expected {
  if (treatment === 'force') return FORCED;
  if (treatment === 'alone') {
    // Go's runtime catches its own SIGSEGV, says so, and exits.
    return runtime === 'go1' && behaviour === 'crashes' ? { state: 'FAILED', code: 439, outcome: 'EXITED', exitCode: 2 } : ALONE[behaviour];
  }
  const expected = ASKED[behaviour] ?? died;
  // Node cannot ignore a signal, only listen to it and do nothing.
  if (runtime === 'nodejs' && behaviour === 'ignores') return outlasted('CAUGHT');
  if (runtime !== 'go1') return expected;
  // Go catches every signal for itself, so its disposition is unknown; what it ignores the kernel knows.
  return { ...expected, steps: (expected.steps ?? []).map((step) => step.replace(/DEFAULT|CAUGHT/, 'UNKNOWN')) };
}

/** What a runtime has no way to do. */
const CANNOT: readonly `${Runtime} ${Behaviour}`[] = ['nodejs blocks', 'go1 blocks'];

describe('Every ending', { timeout: 600_000 }, () => {
  let stack: Stack;
  const packages = packagesOf();
  before(async () => {
    stack = await openStack(packages);
  });
  after(() => stack.dispose());

  const run = async (runtime: Runtime, behaviour: Behaviour, treatment: Treatment, mark: string): Promise<EventAnswer> => {
    const { rest } = stack;
    const isSoon = behaviour === 'overstays' && treatment === 'alone';
    const { id } = await rest.send(`ends-${runtime}${isSoon ? '-soon' : ''}`, { do: behaviour, ms: WORKS_MS[treatment], mark });
    if (treatment === 'alone') return rest.ended(id, WITHIN_MS);
    const sign = behaviour === 'floods' ? '[PLATFORM] Log cut' : 'begun';
    await eventually(async () => (await textsOf(id)).some((text) => text.startsWith(sign)), WITHIN_MS);
    // A child has its grace where the whole group does.
    const scope = behaviour === 'fosters' ? { signal_scope: 'GROUP' } : {};
    const asked = treatment === 'force' ? {} : { graceful: true, grace_period: GRACE, ...scope };
    assert.equal((await rest.terminate(id, asked)).status, 200);
    return rest.ended(id, WITHIN_MS);
  };
  const textsOf = async (id: string): Promise<string[]> => {
    const texts: string[] = [];
    for (let token: string | undefined = ''; token !== undefined;) {
      const path: string = `/v1/events/${id}/logs?page_token=${token}`;
      const { body } = await stack.rest.call<{ lines: { text: string }[]; next_page_token: string }>('GET', path);
      texts.push(...body.lines.map(({ text }) => text));
      token = body.next_page_token === '' ? undefined : body.next_page_token;
    }
    return texts;
  };
  const check = async (event: EventAnswer, expected: Expected, behaviour: Behaviour): Promise<void> => {
    const { state, status_code: code, result, termination, error } = event;
    const [attempt] = event.attempts;
    const seen = { state, code, outcome: attempt?.outcome };
    assert.deepEqual(seen, { state: expected.state, code: expected.code, outcome: expected.outcome }, JSON.stringify(error));
    assert.equal(event.attempts.length, 1);
    if (expected.result !== undefined) assert.equal(result, expected.result);
    const { exit_code: exitCode, signal } = attempt as unknown as { exit_code?: number; signal?: string };
    if (expected.exitCode !== undefined) assert.equal(exitCode, expected.exitCode);
    if (expected.signal !== undefined) assert.equal(signal, expected.signal);
    const texts = await textsOf(event.id);
    assert.ok(texts[0]?.startsWith('START RequestId: '), texts[0]);
    assert.ok(texts.includes('begun'));
    assert.ok(texts.at(-1)?.startsWith('Report RequestId:'), texts.at(-1));
    assert.equal(texts.filter((text) => text.startsWith('[PLATFORM] Log cut')).length, behaviour === 'floods' ? 1 : 0);
    const signalLines = texts.filter((text) => text.startsWith('[PLATFORM] Signal'));
    if (!expected.steps) {
      assert.equal(termination, null);
      assert.deepEqual(signalLines, []);
      return;
    }
    assert.equal(termination?.outcome, expected.outcome);
    if (expected.cleansUp) {
      assert.ok(texts.includes('cleaned up'));
      assert.equal(termination?.swept_process_count, 0);
    }
    // How its processes ended after an answer is on the receipt of a graceful stop, and of no other.
    assert.equal(termination?.exit !== null, expected.outcome === 'RETURNED');
    const steps = (termination?.steps ?? []).map((step) => (step.signal === 'SIGKILL' ? 'SIGKILL' : `${step.signal} ${step.disposition}`));
    assert.deepEqual(steps, expected.steps);
    assert.ok(termination?.end_time);
    assert.equal(signalLines.length, expected.steps.length > 1 || expected.steps[0] !== 'SIGKILL' ? 1 : 0);
    if (signalLines.length > 0) assert.match(signalLines[0] ?? '', /^\[PLATFORM\] Signal (received successfully|reception failed)$/);
  };

  for (const runtime of RUNTIMES) {
    const cases = BEHAVIOURS.filter((behaviour) => !CANNOT.includes(`${runtime} ${behaviour}`)).flatMap((behaviour) =>
      TREATMENTS.map((treatment) => ({ behaviour, treatment, mark: String(100_000 + randomInt(900_000)) })),
    );
    describe(runtime, { concurrency: 4, skip: packages[runtime] === undefined && 'there is no toolchain for it here' }, () => {
      for (const { behaviour, treatment, mark } of cases) {
        it(`${behaviour}, ${treatment}`, async () => {
          const event = await run(runtime, behaviour, treatment, mark);
          await check(event, expectedOf(runtime, behaviour, treatment), behaviour);
          // What a warm instance keeps running goes with the instance.
          if (treatment !== 'alone') assert.deepEqual(pidsWithEnvironment(`sleep ${mark}`), [], 'nothing of it is left');
        });
      }
    });
  }

  describe('A synchronous call whose caller leaves', { concurrency: 5 }, () => {
    const seen: string[] = [];
    let sink: Server;
    let stack: Stack;
    before(async () => {
      // What functions do is seen by a server on this host's loopback.
      stack = await openStack(packages, { EVENFALL_AGENT_NETWORK: 'host' });
      sink = createServer((request, response) => response.end(void seen.push(request.url ?? '')));
      await once(sink.listen(0, '127.0.0.1'), 'listening');
    });
    after(async () => {
      sink.close();
      await stack.dispose();
    });
    for (const runtime of RUNTIMES)
      for (const cancels of [false, true])
        it(
          `${runtime}: ${cancels ? 'is asked to end, where the call says so' : 'runs on to its end'}`,
          { skip: packages[runtime] === undefined },
          async () => {
            const mark = String(randomInt(1e9));
            const { port } = sink.address() as AddressInfo; // it listens on a port
            const leaving = new AbortController();
            const call = stack.rest.call(
              'POST',
              `/v1/namespaces/default/functions/ends-${runtime}:invoke`,
              { do: 'reports', ms: cancels ? 60_000 : 1_000, mark, url: `http://127.0.0.1:${port}/${mark}` },
              { signal: leaving.signal, headers: cancels ? { 'evenfall-cancel': 'on-disconnect' } : {} },
            );
            await Promise.race([call, eventually(() => seen.includes(`/${mark}/begun`), WITHIN_MS)]);
            leaving.abort();
            await assert.rejects(call);
            await eventually(() => seen.includes(`/${mark}/${cancels ? 'signalled' : 'finished'}`), WITHIN_MS);
            assert.equal(seen.includes(`/${mark}/${cancels ? 'finished' : 'signalled'}`), false);
          },
        );
  });

  it('leaves nothing of anybody behind', async () => {
    await eventually(() => stack.functionPids().length === 0, 60_000);
  });
});

async function openStack(packages: ReturnType<typeof packagesOf>, env: Record<string, string> = {}): Promise<Stack> {
  // In the end no process is left.
  const stack = await startStack({ env: { EVENFALL_INSTANCE_IDLE: '3s', EVENFALL_AGENT_READY: '0', ...env } });
  for (const runtime of RUNTIMES) {
    const files = packages[runtime];
    if (!files) continue;
    const handler = runtime === 'go1' ? 'main' : runtime === 'python3' || runtime === 'nodejs' ? 'index.handler' : undefined;
    const common = { runtime, ...(handler === undefined ? {} : { handler }), memory_mb: 128, event_invoke: { max_retries: 0 } };
    await stack.rest.deploy({ name: `ends-${runtime}`, ...common, timeout: '80s' }, files);
    // Where it is to run into its timeout.
    await stack.rest.deploy({ name: `ends-${runtime}-soon`, ...common, timeout: '2s' }, files);
  }
  return stack;
}

function packagesOf(): Readonly<Record<Runtime, PackageFiles | undefined>> {
  const dir = (name: string): PackageFiles => filesIn(fileURLToPath(new URL(`../functions/endings/${name}`, import.meta.url)));
  const program = goPrograms(fileURLToPath(new URL('../functions/go', import.meta.url)))?.['endings'];
  const behaviour = { 'behaviour.py': dir('python3')['behaviour.py'] as Buffer };
  return {
    python3: dir('python3'),
    nodejs: dir('nodejs'),
    custom: { ...dir('custom'), ...behaviour },
    web: { ...dir('web'), ...behaviour },
    go1: program && { main: program },
  };
}
