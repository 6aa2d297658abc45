import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { isRefusal } from '@evenfall/errors';
import { blockOf } from '../domain/account.ts';
import { addInstance, setInstanceState } from '../domain/cluster.ts';
import { placeInstance, startsWanted, acceptsWork, usableInstances } from '../domain/scaling.ts';
import type { Instance, ScheduledAttempt, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { assignAttempt, requestInstance } from './assign-attempt.ts';
import { isOfAnother, isOutdated } from '../domain/revisions.ts';
import { makeRoom, makeWay, shedSurplus } from './make-room.ts';
import { endUnstarted, failWaiting, GONE, applyDeletion, applyFunction } from './apply-function.ts';

const NO_CODE = 'The code package of the function is no longer there';

/** Gives what waits to what is idle, and starts instances for the rest where that pays. */
export function placeAttempts(ports: SchedulerPorts, pool: Pool): void {
  // What is known may be of before a change: nothing must start on it.
  if (!pool.fn || pool.stale || pool.resolving) {
    void resolvePool(ports, pool);
    return;
  }
  if (ports.cluster.account.totalMb === undefined) return; // the registry has not reported reservations and quotas yet
  const nowMs = ports.clock.monotonic();
  shedSurplus(ports, pool);
  while (pool.waiting.size > 0) {
    const instance = pool.idle.findLast((one) => acceptsWork(one.agent) && !isOutdated(one));
    if (!instance) break;
    const attempt = dequeueWaiting(ports, pool);
    if (attempt) handOver(ports, instance, attempt, nowMs);
  }
  if (nowMs < pool.startsAfterMs) return; // looked at again in every round
  const wanted = startsWanted(pool, usableInstances(pool, ports.cluster.agents.values()), nowMs);
  // After a crash one is tried at a time, or the many that wait would crash together.
  const count = pool.crashes > 0 && pool.startsAfterMs > 0 ? Math.min(wanted.count, 1 - pool.starting) : wanted.count;
  const { pressing } = wanted;
  for (let i = 0; i < count && startInstance(ports, pool, pool.fn, pressing, nowMs); i++);
}

/** Asks the registry what a version is now, replaces what is older, and goes on. Settles when that is done; asked meanwhile, it is asked again. */
export function resolvePool(ports: SchedulerPorts, pool: Pool): Promise<void> {
  pool.resolving ??= resolve(ports, pool).finally(() => {
    pool.resolving = undefined;
    if (pool.waiting.size > 0) placeAttempts(ports, pool);
    flushAgents(ports);
  });
  return pool.resolving;
}

async function resolve(ports: SchedulerPorts, pool: Pool): Promise<void> {
  const [namespace = '', fn = '', version = ''] = pool.key.split('/');
  do {
    pool.stale = false;
    try {
      applyFunction(ports, pool, await ports.resolve(namespace, fn, version));
    } catch (error) {
      pool.stale = true; // asked again by whatever waits next
      const isGone = isRefusal(error) && (error.reason === 'FUNCTION_NOT_FOUND' || error.reason === 'QUALIFIER_NOT_FOUND');
      if (isGone) {
        applyDeletion(ports, pool);
        return;
      }
      if (!isRefusal(error)) ports.log.error('could not resolve a function', error, { function: pool.key });
      const isLocked = isRefusal(error) && error.reason === 'SECRETS_NOT_READABLE';
      failWaiting(ports, pool, 500, isLocked ? error.message : 'The registry cannot be reached');
      return;
    }
  } while (pool.stale);
  if (pool.fn && pool.fn.revision <= pool.missingCode) {
    pool.stale = true;
    failWaiting(ports, pool, 435, NO_CODE);
  }
}

/** Takes out the attempt that has waited longest. One of a function that had the name before ends here. */
function dequeueWaiting(ports: SchedulerPorts, pool: Pool): ScheduledAttempt | undefined {
  for (let attempt = pool.waiting.shift(); attempt; attempt = pool.waiting.shift()) {
    if (!isOfAnother(pool, attempt)) return attempt;
    endUnstarted(ports, attempt, 435, GONE);
  }
  return undefined;
}

function handOver(ports: SchedulerPorts, instance: Instance, attempt: ScheduledAttempt, nowMs: number): void {
  setInstanceState(instance, 'BUSY', nowMs);
  bind(instance, attempt, nowMs);
  assignAttempt(ports, instance.agent, attempt, instance.id);
}

/** Starts an instance for the attempt that has waited longest, which goes with it. Answers whether there was room. */
function startInstance(ports: SchedulerPorts, pool: Pool, fn: Fn, pressing: boolean, nowMs: number): boolean {
  const { agents, account } = ports.cluster;
  const block = blockOf(account, agents.values(), pool, fn.memoryMb);
  if (block) makeWay(ports, pool, block, nowMs);
  if (block) return false;
  const agent = placeInstance(agents.values(), fn.memoryMb, pressing);
  if (!agent) makeRoom(ports, pool, fn.memoryMb, nowMs);
  if (!agent || !ports.startRate.reserve(nowMs)) return false;
  const attempt = dequeueWaiting(ports, pool);
  if (!attempt) return false;
  const instance = addInstance(agent, pool, ports.newId(), fn, 'STARTING', nowMs);
  ports.counters.instance_starts_total++;
  requestInstance(ports, instance, fn, false);
  bind(instance, attempt, nowMs);
  assignAttempt(ports, agent, attempt, instance.id);
  return true;
}

function bind(instance: Instance, attempt: ScheduledAttempt, nowMs: number): void {
  instance.attempt = attempt;
  attempt.instance = instance;
  attempt.sentMs = nowMs;
  attempt.isRecalled = false;
  attempt.adoptedMs = undefined;
}
