import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { isRefusal } from '@evenfall/errors';
import { blockOf } from '../domain/account.ts';
import { addInstance, forgetAttempt, setInstanceState } from '../domain/cluster.ts';
import { declaredEnd, endedReport, outgoingOf } from '../domain/messages.ts';
import { placeInstance, startsWanted, takesWork, usableInstances } from '../domain/scaling.ts';
import type { Instance, LiveAttempt, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { makeRoom, makeWay, shedOverReserved } from './make-room.ts';
import { stopInstance } from './stop-instance.ts';

/** Gives what waits to what is idle, and starts instances for the rest where that pays. */
export function placeAttempts(ports: SchedulerPorts, pool: Pool): void {
  // What waits may ask for a revision newer than the one that is known: it must not run on an older one.
  if (!pool.spec || pool.resolving) return resolvePool(ports, pool);
  if (ports.cluster.account.totalMb === undefined) return; // nobody has said yet who may have how much
  const nowMs = ports.clock.monotonic();
  shedOverReserved(ports, pool);
  while (pool.waiting.size > 0) {
    const instance = pool.idle.findLast(({ agent }) => takesWork(agent));
    if (!instance) break;
    const attempt = pool.waiting.shift();
    if (attempt) handOver(instance, attempt, nowMs);
  }
  if (nowMs < pool.startsAfterMs) return; // looked at again in every round
  const wanted = startsWanted(pool, usableInstances(pool, ports.cluster.agents.values()), nowMs);
  // After a crash one is tried at a time, or the many that wait would crash together.
  const count = pool.crashes > 0 && pool.startsAfterMs > 0 ? Math.min(wanted.count, 1 - pool.starting) : wanted.count;
  const { pressing } = wanted;
  for (let i = 0; i < count && startInstance(ports, pool, pool.spec, pressing, nowMs); i++);
}

/** Asks the registry for the newest revision, replaces what is older, and goes on. */
export function resolvePool(ports: SchedulerPorts, pool: Pool): void {
  if (pool.resolving) return;
  pool.resolving = true;
  const [namespace = '', fn = '', version = ''] = pool.key.split('/');
  ports.resolve(namespace, fn, version).then(
    (spec) => {
      pool.resolving = false;
      useSpec(ports, pool, spec);
      placeAttempts(ports, pool);
      flushAgents(ports);
    },
    (error: unknown) => {
      pool.resolving = false;
      if (!isRefusal(error)) ports.log.error('could not resolve a function', error, { function: pool.key });
      const gone = isRefusal(error) && (error.reason === 'FUNCTION_NOT_FOUND' || error.reason === 'QUALIFIER_NOT_FOUND');
      failWaiting(ports, pool, gone ? 435 : 500, gone ? 'The function no longer exists' : 'The registry cannot be reached');
    },
  );
}

/** Takes a newer revision over. */
export function useSpec(ports: SchedulerPorts, pool: Pool, spec: Fn): void {
  if (pool.spec && pool.spec.revision >= spec.revision) return;
  pool.spec = spec;
  for (const instance of [...pool.idle]) if (instance.revision < spec.revision) stopInstance(ports, instance, Cause.UPDATE);
}

function failWaiting(ports: SchedulerPorts, pool: Pool, statusCode: number, message: string): void {
  for (let attempt = pool.waiting.shift(); attempt; attempt = pool.waiting.shift()) {
    forgetAttempt(ports.cluster, attempt);
    attempt.sink.report(endedReport(attempt.assignment, declaredEnd(Outcome.START_FAILED, statusCode, message, ports.clock.now())));
  }
}

function handOver(instance: Instance, attempt: LiveAttempt, nowMs: number): void {
  setInstanceState(instance, 'BUSY', nowMs);
  instance.attempt = attempt;
  attempt.instance = instance;
  attempt.sentMs = nowMs;
  outgoingOf(instance.agent).assignments.push({ instanceId: instance.id, assignment: attempt.assignment });
}

/** Starts an instance for the attempt that has waited longest, which goes with it. Answers whether there was room. */
function startInstance(ports: SchedulerPorts, pool: Pool, spec: Fn, pressing: boolean, nowMs: number): boolean {
  const { agents, account } = ports.cluster;
  const block = blockOf(account, agents.values(), pool, spec.memoryMb);
  if (block) makeWay(ports, pool, block, nowMs);
  if (block) return false;
  const agent = placeInstance(agents.values(), spec.memoryMb, pressing);
  if (!agent) makeRoom(ports, pool, spec.memoryMb, nowMs);
  if (!agent || !ports.startRate.take(nowMs)) return false;
  const attempt = pool.waiting.shift();
  if (!attempt) return false;
  const instance = addInstance(agent, pool, ports.newId(), spec, 'STARTING', nowMs);
  ports.counters.instance_starts_total++;
  outgoingOf(agent).startInstances.push({ instanceId: instance.id, function: spec, ahead: false });
  instance.attempt = attempt;
  attempt.instance = instance;
  attempt.sentMs = nowMs;
  outgoingOf(agent).assignments.push({ instanceId: instance.id, assignment: attempt.assignment });
  return true;
}
