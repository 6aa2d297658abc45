// The wall clock of the host is set back and ahead while the platform runs (libfaketime, which is fetched with apt where it is not installed).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tempDir } from '@evenfall/testkit';
import { testKafka } from '@evenfall/testkit/kafka';
import { type Stack, startStack } from '../support/stack.ts';

const NAME = 'faketime/libfaketime.so.1';

/** The library's path; undefined where there is none and none can be fetched. */
function findLibrary(folder: string): string | undefined {
  const installed = globSync(`/usr/lib/*/${NAME}`)[0];
  if (installed) return installed;
  try {
    execFileSync('apt-get', ['download', 'libfaketime'], { cwd: folder, stdio: 'ignore', timeout: 30_000 });
    const [archive] = globSync(`${folder}/libfaketime*.deb`);
    execFileSync('dpkg', ['-x', archive ?? '', folder], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return globSync(`${folder}/usr/lib/*/${NAME}`)[0];
}

const folder = tempDir('clock');
const library = findLibrary(folder.path);
if (!library) console.warn('no libfaketime here, and apt has none: the clock is not set in this run');
const skip = library ? false : 'libfaketime can be had nowhere';
if (skip && process.env['CI']) throw new Error(skip);
after(() => folder.remove());

/** The environment of a platform whose wall clock is what the file says. */
const clockOf = (file: string): Record<string, string> => ({
  LD_PRELOAD: library ?? '',
  FAKETIME_TIMESTAMP_FILE: file,
  FAKETIME_NO_CACHE: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  EVENFALL_AGENT_READY: '0',
});

describe('a clock that is set while the platform runs', { timeout: 120_000, skip }, () => {
  const file = join(folder.path, 'now');
  const set = (offset: string): void => writeFileSync(file, `${offset}\n`);
  let stack: Stack;
  before(async () => {
    assert.ok(library && existsSync(library));
    set('+0');
    stack = await startStack({ env: clockOf(file) });
    await stack.rest.deploy({ name: 'echo', runtime: 'nodejs', handler: 'index.h' }, { 'index.js': 'exports.h = async (event) => event;' });
  });
  after(async () => {
    await stack.dispose();
  });

  const send = async (delay?: string): Promise<string> =>
    (await stack.rest.send('echo', 1, delay ? { headers: { 'evenfall-delay': delay } } : {})).id;
  const isThere = async (id: string): Promise<void> => {
    assert.equal((await stack.rest.get(id)).state, 'SUCCEEDED');
    const listed = await stack.rest.list('echo');
    assert.ok(
      listed.some((event) => event.id === id),
      `${id} is listed`,
    );
    assert.equal((await stack.rest.terminate(id)).body.error.details[0]?.reason, 'EVENT_ENDED');
    assert.ok((await stack.rest.logs(id)).length > 0);
  };

  for (const offset of ['-2m', '+2h', '-10m', '+8h'])
    it(`to ${offset}, and right again: events are found, and delays are as long as ever`, async () => {
      const before = await send('4s');
      set(offset);
      const meanwhile = await send();
      await stack.rest.ended(meanwhile);
      await isThere(meanwhile);
      assert.equal((await stack.rest.ended(before, 15_000)).state, 'SUCCEEDED');
      set('+0');
      for (const id of [before, meanwhile, await send()]) {
        await stack.rest.ended(id);
        await isThere(id);
      }
    });
});

describe('a clock that is set between two lives of the platform', { timeout: 300_000, concurrency: 2, skip }, () => {
  // The server of the log, a Postgres of the platform's own or a Kafka, is started without the library: its clock stays.
  let kafka: Awaited<ReturnType<typeof testKafka>>;
  before(async () => {
    kafka = await testKafka();
  });
  after(() => kafka?.stop());
  const DELAY_MS = 15_000;

  for (const [log, offset] of [
    ['embedded', '-2h'],
    ['embedded', '+8h'],
    ['Kafka', '-2h'],
    ['Kafka', '+8h'],
  ] as const)
    it(`to ${offset}, with the log ${log}: a delay is as long as ever, and no event becomes too old`, async (t) => {
      if (log === 'Kafka' && !kafka) return t.skip('no Kafka here');
      const file = join(folder.path, `next-${log}${offset}`);
      const set = (to: string): void => writeFileSync(file, `${to}\n`);
      const brokers = kafka?.brokers ?? '';
      const topic = `clock-${randomUUID()}`;
      const inKafka = { EVENFALL_KAFKA_BROKERS: brokers, EVENFALL_KAFKA_TOPIC: topic, EVENFALL_KAFKA_PARTITIONS: '4' };
      const env = { ...clockOf(file), ...(log === 'Kafka' ? inKafka : {}) };
      const data = tempDir('clock-data');
      let stack: Stack | undefined;
      try {
        set('+0');
        stack = await startStack({ dataDir: data.path, env });
        await stack.rest.deploy(
          { name: 'echo', runtime: 'nodejs', handler: 'index.h' },
          { 'index.js': 'exports.h = async (event) => event;' },
        );
        const fails = { name: 'fails', runtime: 'nodejs', handler: 'index.h', event_invoke: { max_retries: 1, retry_interval: '10m' } };
        await stack.rest.deploy(fails, { 'index.js': 'exports.h = async () => { throw new Error("it is meant to") };' });
        const delayed = (delay: string) => stack?.rest.send('echo', 1, { headers: { 'evenfall-delay': delay } });
        const acceptedMs = performance.now();
        const late = await delayed(`${DELAY_MS / 1000}s`);
        const soon = await delayed('5s');
        const failed = await stack.rest.send('fails', 1);
        await stack.rest.ended(soon?.id ?? '', 15_000); // a while has passed
        assert.equal((await stack.rest.get(failed.id)).state, 'QUEUED', 'it waits for its retry');
        // A member of a group in Kafka that is killed keeps its partitions for a session more: it leaves in order.
        await (log === 'Kafka' ? stack.stop() : stack.kill9());
        set(offset);
        stack = await startStack({ dataDir: data.path, env });
        const readyMs = performance.now();
        assert.equal((await stack.rest.ended(late?.id ?? '', DELAY_MS + 10_000)).state, 'SUCCEEDED');
        const endedMs = performance.now();
        // Measured by the wall clock it would be over at once, or begin anew with the second life, five seconds in or later.
        assert.ok(endedMs - acceptedMs >= DELAY_MS, `${endedMs - acceptedMs} ms`);
        const lateMs = endedMs - Math.max(acceptedMs + DELAY_MS, readyMs);
        assert.ok(lateMs < 4_000, `${lateMs} ms late, ${endedMs - readyMs} ms after it was ready again`);
        const retrying = await stack.rest.get(failed.id);
        assert.deepEqual([retrying.state, retrying.attempts.length], ['QUEUED', 1], 'its interval is not over');
      } finally {
        await stack?.dispose();
        data.remove();
      }
    });
});
