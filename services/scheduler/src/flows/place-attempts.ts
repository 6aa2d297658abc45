import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { isRefusal } from '@evenfall/errors';
import { addInstance, forgetAttempt, setInstanceState } from '../domain/cluster.ts';
import { declaredEnd, endedReport, outgoingOf } from '../domain/messages.ts';
import { placeInstance, startsWanted, usableInstances } from '../domain/scaling.ts';
import type { Instance, LiveAttempt, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { stopInstance } from './stop-instance.ts';

/** Gives what waits to what is idle, and starts instances for the rest where that pays. */
export function placeAttempts(ports: SchedulerPorts, pool: Pool): void {
  // What waits may ask for a revision newer than the one that is known: it must not run on an older one.
  if (!pool.spec || pool.resolving) return resolvePool(ports, pool);
  const nowMs = ports.clock.monotonic();
  while (pool.waiting.size > 0) {
    const instance = pool.idle.findLast(({ agent }) => agent.send !== undefined && !agent.drain); // a host that is away, or drains, takes nothing
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

function useSpec(ports: SchedulerPorts, pool: Pool, spec: Fn): void {
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
  const agent = placeInstance(ports.cluster.agents.values(), spec.memoryMb, pressing);
  if (!agent) makeRoom(ports, spec.memoryMb, nowMs);
  if (!agent || !ports.startRate.take(nowMs)) return false;
  const attempt = pool.waiting.shift();
  if (!attempt) return false;
  const instance = addInstance(agent, pool, ports.newId(), spec, 'STARTING', nowMs);
  ports.counters.instance_starts_total++;
  outgoingOf(agent).startInstances.push({ instanceId: instance.id, function: spec });
  instance.attempt = attempt;
  attempt.instance = instance;
  attempt.sentMs = nowMs;
  outgoingOf(agent).assignments.push({ instanceId: instance.id, assignment: attempt.assignment });
  return true;
}

/** The only warm instance of a function is left to it for so long: under a flood of others it would start cold every time. */
const LAST_WARM_MS = 1_000;

/**
 * Has the instance that has been idle longest make way on a host that is full, if that can make room enough. The room is there once it is
 * gone. A function that is too large for what is idle takes nothing from anybody: it would not be helped.
 */
function makeRoom(ports: SchedulerPorts, memoryMb: number, nowMs: number): void {
  let oldest: Instance | undefined;
  for (const agent of ports.cluster.agents.values()) {
    if (!agent.send || agent.drain || agent.starting >= agent.parallelStarts || agent.capacityMb - agent.usedMb >= memoryMb) continue;
    let freeableMb = agent.capacityMb - agent.usedMb;
    let candidate: Instance | undefined;
    for (const instance of agent.instances.values()) {
      if (instance.state === 'STOPPING') return; // room is being made already
      if (instance.state !== 'IDLE') continue;
      freeableMb += instance.memoryMb;
      if (instance.pool.idle.length === 1 && nowMs - instance.idleSinceMs < LAST_WARM_MS) continue;
      if (!candidate || instance.idleSinceMs < candidate.idleSinceMs) candidate = instance;
    }
    if (freeableMb >= memoryMb && candidate && (!oldest || candidate.idleSinceMs < oldest.idleSinceMs)) oldest = candidate;
  }
  if (oldest) stopInstance(ports, oldest, Cause.IDLE);
}
