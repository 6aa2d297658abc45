import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { AttachRequest, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal, refuse } from '@evenfall/errors';
import { type ClientOf, inProcessClient, pushable } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { startScheduler } from './service.ts';

const SETTINGS = {
  leaseMs: 30_000,
  idleMs: 60_000,
  startsPerMinute: 600,
  agentMaxCapacityMb: 1_024,
  agentMaxInstances: 10,
  agentMaxParallelStarts: 1,
};

describe('A scheduler that starts while the registry is away', () => {
  it('says so, lets no agent in, asks again, and lets them in once it has been answered', async () => {
    let isAway = true;
    const away = refuse('SERVICE_UNAVAILABLE', { detail: 'away' });
    const registry = {
      getGrantKeys: async () => (isAway ? Promise.reject(away) : { keys: [randomBytes(32)] }),
      getConcurrency: async () => Promise.reject(away),
      watchFunctions(_request: unknown, { signal }: { signal: AbortSignal }) {
        const watch = pushable();
        signal.addEventListener('abort', () => watch.end());
        return watch;
      },
    } as unknown as ClientOf<RegistryServiceService>; // a scheduler without functions asks no more
    const scheduler = startScheduler({ registry, log: silentLog, isShared: true }, SETTINGS);
    try {
      const client = inProcessClient(SchedulerServiceService, scheduler.api);
      const attach = async (): Promise<string> => {
        const requests = pushable<AttachRequest>();
        requests.push(AttachRequest.fromPartial({ hello: { agentId: 'a', sessionId: 's', capacityMb: 128, parallelStarts: 1 } }));
        const leaving = new AbortController();
        try {
          for await (const { welcome } of client.attach(requests, { signal: leaving.signal })) if (welcome) return 'welcome';
          return 'ended';
        } catch (error) {
          return isRefusal(error) ? error.reason : String(error);
        } finally {
          leaving.abort();
          requests.end();
        }
      };
      assert.equal(await attach(), 'SERVICE_UNAVAILABLE');
      assert.match(scheduler.faults().join(), /no agent is let in/);
      isAway = false;
      await eventually(() => scheduler.faults().length === 0, 10_000);
      assert.equal(await attach(), 'welcome');
    } finally {
      await scheduler.stop();
    }
  });
});
