import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RestClient } from '../support/rest-client.ts';

const EVERY_MS = 50;

/** Calls a function at a steady pace; `stop` answers the milliseconds of every call. A call that fails fails the test. */
export function startCaller(rest: RestClient, name: string): { stop(): Promise<number[]> } {
  const times: number[] = [];
  const calls: Promise<void>[] = [];
  const failures: unknown[] = [];
  let isStopping = false;
  const call = async (n: number): Promise<void> => {
    const began = performance.now();
    const answer = await rest.call<{ result?: unknown }>('POST', `/v1/namespaces/default/functions/${name}:invoke`, { n });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.deepEqual(answer.body.result, { n });
    times.push(performance.now() - began);
  };
  const loop = (async () => {
    for (let n = 0; !isStopping; n++) {
      calls.push(call(n).catch((error: unknown) => void failures.push(error)));
      await sleep(EVERY_MS);
    }
    await Promise.all(calls);
  })();
  return {
    async stop() {
      isStopping = true;
      await loop;
      if (failures.length > 0) throw new AggregateError(failures.slice(0, 3), `${failures.length} calls of ${name} failed`);
      return times;
    },
  };
}

/** The value that a share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
