// The process of a steady caller: calls a function until its input ends, then prints how long each call took.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRestClient } from '../support/rest-client.ts';
import type { CallerOrders, CallerReport } from './steady-caller.ts';

const EVERY_MS = 50;

const { url, headers, name } = JSON.parse(process.env['EVENFALL_TEST_CALLER'] ?? '') as CallerOrders; // of the test that starts this
const rest = createRestClient(url, headers);
const times: number[] = [];
const failures: string[] = [];

const call = async (n: number): Promise<void> => {
  const began = performance.now();
  const answer = await rest.call<{ result?: unknown }>('POST', `/v1/namespaces/default/functions/${name}:invoke`, { n });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.deepEqual(answer.body.result, { n });
  times.push(performance.now() - began);
};

let isStopping = false;
void once(process.stdin.resume(), 'end').then(() => (isStopping = true));
const calls: Promise<void>[] = [];
for (let n = 0; !isStopping; n++) {
  calls.push(call(n).catch((error: unknown) => void failures.push(String(error))));
  await sleep(EVERY_MS);
}
await Promise.all(calls);
const report: CallerReport = { times, failures };
process.stdout.write(JSON.stringify(report));
