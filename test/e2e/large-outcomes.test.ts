// What a function returns or throws stops neither its partition nor its agent nor the view. On both logs, through the API.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { startTestCluster } from '../support/cluster.ts';
import type { RestClient } from '../support/rest-client.ts';
import { startStack } from '../support/stack.ts';

const ERROR = 'def handler(event, context):\n    raise ValueError("x" * event["bytes"])\n';
const RESULT = `import time
def handler(event, context):
    while time.time() < event["at"]:
        time.sleep(0.02)
    return "r" * event["bytes"]
`;
const MB = 1_000_000;
const RESULTS = 64;

type Target = { readonly rest: RestClient; readonly url: string; dispose(): Promise<unknown> };

function largeOutcomes(name: string, skip: boolean, errorBytes: readonly number[], start: () => Promise<Target>): void {
  describe(`large outcomes, ${name}`, { timeout: 240_000, skip }, () => {
    let target: Target;
    before(async () => {
      target = await start();
      const common = { runtime: 'python3', handler: 'index.handler', memory_mb: 64 };
      await target.rest.deploy(
        { ...common, name: 'throws', timeout: '60s', memory_mb: 512, event_invoke: { max_retries: 0 } },
        { 'index.py': ERROR },
      );
      await target.rest.deploy({ ...common, name: 'returns', timeout: '120s' }, { 'index.py': RESULT });
    });
    after(() => target.dispose());
    const isReady = async (): Promise<boolean> => (await fetch(`${target.url}/readyz`)).status === 200;

    it('an error of many megabytes is cut, and the next event of its function ends too', async () => {
      for (const bytes of errorBytes) {
        const { id } = await target.rest.send('throws', { bytes });
        const event = await target.rest.ended(id, 60_000);
        assert.deepEqual([event.state, event.status_code], ['FAILED', 430]);
        const text = JSON.stringify(event.error);
        assert.ok(text.length < 70_000, `${text.length}`);
        assert.match(text, /\[cut/);
      }
      const { id } = await target.rest.send('throws', { bytes: 10 });
      assert.equal((await target.rest.ended(id, 30_000)).state, 'FAILED');
      assert.ok(await isReady());
    });

    it(`${RESULTS} results of 250 KB that come at the same moment are all kept, listed, and read`, async () => {
      const at = Date.now() / 1_000 + 8;
      const events = Array.from({ length: RESULTS }, () => ({ payload: { at, bytes: MB / 4 } }));
      const ids = await target.rest.sendBatch('returns', events);
      await eventually(async () => (await target.rest.list('returns', 'state=QUEUED&state=RUNNING')).length === 0, 120_000);
      const listed = await target.rest.list('returns', 'state=SUCCEEDED', 100);
      assert.deepEqual(listed.map(({ id }) => id).sort(), [...ids].sort());
      assert.equal(String((await target.rest.get(ids[0] ?? '')).result).length, MB / 4);
      assert.ok(await isReady());
    });
  });
}

largeOutcomes('embedded log', false, [9 * MB, 40 * MB], async () => {
  const stack = await startStack();
  return { rest: stack.rest, url: stack.http, dispose: () => stack.dispose() };
});
const why = whyNoKafka();
if (why !== undefined && process.env['CI']) throw new Error(`The cluster cannot be tested: ${why}.`);
largeOutcomes('log in Kafka', why !== undefined, [8 * MB, 9 * MB], async () => {
  const cluster = await startTestCluster({ log: 'kafka', queues: 1, agents: 1 });
  return { rest: cluster.rest, url: cluster.http, dispose: () => cluster.dispose() };
});
