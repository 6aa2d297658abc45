import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { EventLog } from '@evenfall/event-log';
import { startParts } from '@evenfall/lifecycle';
import type { Sql } from '@evenfall/postgres';
import { bind, type Implementation } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { configured, createOneProcess, type OneProcess, type Startable } from './index.ts';

/** A stand-in for an object that is only handed on. */
const handle = <T>(name: string): T => ({ name }) as T;
const eventLog = handle<EventLog>('event log');
const sharedSql = handle<Sql>('shared');

/** What the services have done, in order. */
type Steps = string[];

/** A scheduler whose only answer names what asked it. */
function schedulerThat(steps: Steps): Startable<{ readonly answer: string }> {
  return {
    name: 'scheduler',
    dependencies: {},
    async start({ config, part, serve, reportsFaults, drainsFirst, onForce, isShared }) {
      assert.equal(isShared, false);
      await part(
        'scheduler',
        () => steps.push('scheduler starts'),
        () => void steps.push('scheduler stops'),
      );
      reportsFaults(() => [config.answer]);
      drainsFirst(async () => void steps.push('scheduler drains'));
      onForce(() => void steps.push('scheduler is forced'));
      const api = { noteFunctionChange: async () => ({}) } as unknown as Implementation<typeof SchedulerServiceService>; // one method is enough
      return serve([bind(SchedulerServiceService, api)]);
    },
  };
}

function queueThatCalls(steps: Steps, dependencies: Startable<object>['dependencies']): Startable<object> {
  return {
    name: 'queue',
    dependencies,
    async start({ part, pool, eventLog: open, client }) {
      await part(
        'queue',
        () => steps.push('queue starts'),
        () => void steps.push('queue stops'),
      );
      const scheduler = await client(SchedulerServiceService);
      assert.deepEqual(await scheduler.noteFunctionChange({ namespace: 'default', name: 'fn' }), {});
      assert.equal(await pool({ max: 3 }), sharedSql, 'those without a name are one');
      assert.notEqual(await pool({ name: 'own' }), sharedSql);
      assert.equal(await open({} as never), eventLog);
      return { queue: 'there' };
    },
  };
}

async function run(steps: Steps, build: (process: OneProcess) => Promise<void>) {
  return startParts(async (part) => {
    const end = async (): Promise<void> => void steps.push('own pool ends');
    const openPool = async (): Promise<Sql> => ({ end }) as unknown as Sql; // what a pool is asked for here
    const process = createOneProcess({ part, log: () => silentLog, sql: sharedSql, openPool, eventLog });
    await build(process);
    return process;
  });
}

describe('Services of one process', () => {
  const named = { scheduler: { services: [SchedulerServiceService] } };

  it('call each other without gRPC, and stop in reverse, with what they opened', async () => {
    const steps: Steps = [];
    const readyWords: object[] = [];
    const { built, stop } = await run(steps, async (process) => {
      const list = [configured(schedulerThat(steps), { answer: 'busy' }), configured(queueThatCalls(steps, named), {})];
      for (const service of list) readyWords.push(await service.start(process));
    });
    assert.deepEqual(readyWords, [{}, { queue: 'there' }]);
    assert.deepEqual(built.faults(), ['busy']);
    await built.drain();
    built.force();
    await stop();
    assert.deepEqual(steps, [
      ...['scheduler starts', 'queue starts', 'scheduler drains', 'scheduler is forced'],
      ...['own pool ends', 'queue stops', 'scheduler stops'],
    ]);
  });

  it('do not start before what they call, and what did start is stopped', async () => {
    const steps: Steps = [];
    const starting = run(steps, async (process) => {
      await configured(queueThatCalls(steps, named), {}).start(process);
    });
    await assert.rejects(starting, /queue calls \/evenfall\.scheduler\.v1\.SchedulerService of scheduler, which is not started before it/);
    assert.deepEqual(steps, ['queue starts', 'queue stops']);
  });

  it('call nothing that their descriptor does not name', async () => {
    for (const dependencies of [{}, { scheduler: { services: [QueueServiceService] } }]) {
      const starting = run([], async (process) => {
        await configured(schedulerThat([]), { answer: '' }).start(process);
        await configured(queueThatCalls([], dependencies), {}).start(process);
      });
      await assert.rejects(starting, /The descriptor of queue does not name \/evenfall\.scheduler\.v1\.SchedulerService/);
    }
  });
});
