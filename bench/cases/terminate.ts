import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { TerminateEventRequest_Wait as Wait } from '@evenfall/contracts/v1/event_service';
import { KillSignal, TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { durationOfMs } from '@evenfall/time';
import { type BenchCase, percentile } from '../report.ts';
import type { Stack } from '../stack.ts';

/** Each reports its process by a file, and the time of its signal handler by its result: the clock is the same for all processes of a host. */
const WAITS = {
  nodejs: {
    'index.js': `const fs = require('node:fs');
exports.handler = (event) => new Promise((done) => {
  process.once('SIGTERM', () => done(String(process.hrtime.bigint())));
  setInterval(() => undefined, 1000);
  fs.writeFileSync(event.file + '.new', String(process.pid)); fs.renameSync(event.file + '.new', event.file);
});
`,
  },
  python3: {
    'index.py': `import os, signal, time
def handler(event, context):
    at = []
    signal.signal(signal.SIGTERM, lambda *a: at.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC)))
    with open(event["file"] + ".new", "w") as out: out.write(str(os.getpid()))
    os.rename(event["file"] + ".new", event["file"])
    while not at: time.sleep(1)
    return str(at[0])
`,
  },
} as const;
const SPINS = {
  nodejs: {
    'index.js': `const fs = require('node:fs');
exports.handler = (event) => { fs.writeFileSync(event.file + '.new', String(process.pid)); fs.renameSync(event.file + '.new', event.file); for (;;); };
`,
  },
  python3: {
    'index.py': `import os
def handler(event, context):
    with open(event["file"] + ".new", "w") as out: out.write(str(os.getpid()))
    os.rename(event["file"] + ".new", event["file"])
    while True: pass
`,
  },
} as const;
/** Does not heed its signal: what it gets is its grace period and nothing else. */
const DEAF = {
  'index.py': `import os, signal, time
def handler(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(event["file"] + ".new", "w") as out: out.write(str(os.getpid()))
    os.rename(event["file"] + ".new", event["file"])
    while True: time.sleep(1)
`,
} as const;

const EVENTS = 50;
const AT_ONCE = 100;
const FIRST_GRACE_MS = 500;
const GRACE_STEP_MS = 10;

type Running = { readonly id: string; readonly pid: number };

/** Call → signal handler runs; call → process gone: forced, graceful, a busy loop; and 100 graceful ones at once, each with its own grace period. */
export const terminateCase: BenchCase = async ({ stack, rounds, runtime, print }) => {
  // Functions of a user of their own write here, and have a /tmp of their own.
  const dir = mkdtempSync(join(process.getuid?.() === 0 ? '/var/lib' : tmpdir(), 'evenfall-bench-terminate-'));
  chmodSync(dir, 0o777);
  let files = 0;
  const begin = async (name: string): Promise<Running> => {
    const file = join(dir, String(files++));
    const { event } = await stack.events.createEvent({
      namespace: 'default',
      function: name,
      qualifier: '',
      submission: { payload: Buffer.from(JSON.stringify({ file })), idempotencyKey: '', delay: undefined },
    });
    while (!existsSync(file)) await pause(2);
    return { id: event?.id ?? '', pid: Number(readFileSync(file, 'utf8')) };
  };
  try {
    await stack.deploy('waits', runtime, WAITS[runtime]);
    await stack.deploy('spins', runtime, SPINS[runtime]);
    await stack.deploy('deaf', 'python3', DEAF);
    await (async () => {
      for (const name of ['waits', 'spins', 'deaf']) await terminate(stack, await begin(name), false);
    })();
    const all = new Map<string, number[]>();
    const keep = (figure: string, ms: readonly number[]): void => void all.set(figure, [...(all.get(figure) ?? []), ...ms]);
    for (let round = 1; round <= rounds; round++) {
      for (const { kind, name, graceful } of [
        { kind: 'forced', name: 'waits', graceful: false },
        { kind: 'graceful', name: 'waits', graceful: true },
        { kind: 'busy loop, forced', name: 'spins', graceful: false },
      ]) {
        const goneMs: number[] = [];
        const signalMs: number[] = [];
        for (let i = 0; i < EVENTS; i++) {
          const took = await terminate(stack, await begin(name), graceful);
          goneMs.push(took.goneMs);
          if (graceful) signalMs.push(took.signalMs);
        }
        keep(`${kind}: gone`, goneMs);
        if (graceful) keep(`${kind}: signal`, signalMs);
        print({
          case: 'terminate',
          round,
          runtime,
          kind,
          ...(graceful ? { signal_p50_ms: percentile(signalMs, 0.5), signal_p99_ms: percentile(signalMs, 0.99) } : {}),
          gone_p50_ms: percentile(goneMs, 0.5),
          gone_p99_ms: percentile(goneMs, 0.99),
        });
      }
      const running = await Promise.all(Array.from({ length: AT_ONCE }, () => begin('deaf')));
      const ended = await Promise.all(running.map(({ id }, i) => withGrace(stack, id, FIRST_GRACE_MS + i * GRACE_STEP_MS)));
      const errors = ended.map(({ termination }, i) => (termination?.durationMs ?? Number.NaN) - (FIRST_GRACE_MS + i * GRACE_STEP_MS));
      print({
        case: 'terminate',
        round,
        runtime: 'python3',
        kind: `${AT_ONCE} at once`,
        grace_error_p50_ms: percentile(errors, 0.5),
        grace_error_p99_ms: percentile(errors, 0.99),
        grace_error_min_ms: Math.min(...errors),
        grace_error_max_ms: Math.max(...errors),
      });
      keep(`${AT_ONCE} at once: error of the grace period`, errors);
    }
    for (const [figure, ms] of all)
      print({
        case: 'terminate',
        runtime,
        figure,
        of: ms.length,
        p50_ms: percentile(ms, 0.5),
        p99_ms: percentile(ms, 0.99),
        max_ms: percentile(ms, 1),
      });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

async function terminate(stack: Stack, { id, pid }: Running, graceful: boolean): Promise<{ goneMs: number; signalMs: number }> {
  const calledAt = process.hrtime.bigint();
  const answered = stack.events.terminateEvent({ id, graceful, policy: undefined, reason: 'bench', wait: Wait.ENDED });
  while (isAlive(pid)) await pause(1); // not a tight loop: the platform shares the processors
  const goneMs = Number(process.hrtime.bigint() - calledAt) / 1e6;
  const { event } = await answered;
  if (event?.state !== State.TERMINATED) throw new Error(`${id} did not end as terminated`);
  if (!graceful) return { goneMs, signalMs: Number.NaN };
  const handledAt = BigInt(JSON.parse(event.result.toString()) as string); // what the function above returns
  return { goneMs, signalMs: Number(handledAt - calledAt) / 1e6 };
}

async function withGrace(stack: Stack, id: string, graceMs: number): Promise<Event> {
  const policy = TerminationPolicy.create({ killSignal: KillSignal.SIGTERM, gracePeriod: durationOfMs(graceMs) });
  const { event } = await stack.events.terminateEvent({ id, graceful: true, policy, reason: 'bench', wait: Wait.ENDED });
  if (!event) throw new Error(`${id} is not there`);
  return event;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
