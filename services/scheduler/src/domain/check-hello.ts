import type { AttemptKey } from '@evenfall/contracts/attempt/v1/attempt';
import type { AttachRequest, Hello, InstanceReport } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import type { Ability } from '@evenfall/contracts/v1/operator_service';
import { invalidField, type Refusal } from '@evenfall/errors';
import { cutText, LIMITS } from '@evenfall/event-model';
import { DURATIONS, firstRefusal, HOST_LIMITS, MEMORY_MB, NAME, VERSION } from '@evenfall/function-model';
import { msOfDuration } from '@evenfall/time';

/** What a host may say of itself: more than any has, so that one agent cannot fill the scheduler's memory. */
export const HELLO_LIMITS = {
  capacityMb: HOST_LIMITS.memoryMb.most,
  parallelStarts: HOST_LIMITS.parallelStarts,
  instances: HOST_LIMITS.instances,
  held: 200_000,
  abilities: 64,
} as const;

/** What the operator lets one host count for, whatever its agent says. */
export type AgentLimits = { readonly capacityMb: number; readonly instances: number; readonly parallelStarts: number };

/** The limits of one agent, whose certificate may say less. */
export function limitsOf(limits: AgentLimits, certifiedMb: string | undefined): AgentLimits {
  return certifiedMb === undefined ? limits : { ...limits, capacityMb: Math.min(limits.capacityMb, Number(certifiedMb)) };
}

/** Ids of agents are part of paths; those of instances are names of folders. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ABILITY = /^[a-z0-9][a-z0-9-]{0,63}$/;
const EVENT_ID = /^[A-Za-z0-9-]{1,64}$/;
const MAX_GRANT_BYTES = 64;

/** The hello of an agent within its limits, with words for people cut; or INVALID_FIELD for what the scheduler counts and looks up by. */
export function checkedHello(hello: Hello): Hello | Refusal {
  return helloRefusal(hello) ?? { ...hello, abilities: hello.abilities.map(boundAbility) };
}

function helloRefusal({ agentId, sessionId, capacityMb, parallelStarts, instances, held, abilities }: Hello): Refusal | undefined {
  return (
    check('agent_id', ID.test(agentId), 'letters, digits, ".", "_" and "-", at most 128') ??
    check('session_id', ID.test(sessionId), 'letters, digits, ".", "_" and "-", at most 128') ??
    checkInteger('capacity_mb', capacityMb, 0, HELLO_LIMITS.capacityMb) ??
    checkInteger('parallel_starts', parallelStarts, 1, HELLO_LIMITS.parallelStarts) ??
    count('instances', instances, HELLO_LIMITS.instances) ??
    count('held', held, HELLO_LIMITS.held) ??
    count('abilities', abilities, HELLO_LIMITS.abilities) ??
    distinct('instances', instances, ({ instanceId }) => instanceId) ??
    distinct('held', held, ({ eventId }) => eventId) ??
    distinct('abilities', abilities, ({ name }) => name) ??
    firstRefusal(instances, (report, n) => instanceRefusal(`instances[${n}]`, report)) ??
    firstRefusal(held, (key, n) => keyRefusal(`held[${n}]`, key)) ??
    firstRefusal(abilities, ({ name }, n) =>
      check(`abilities[${n}].name`, ABILITY.test(name), 'lower-case letters, digits and "-", at most 64'),
    )
  );
}

/** What an agent says later, within its limits; what names nothing, or no time, is left out. */
export function boundBatch(batch: AttachRequest): AttachRequest {
  const { cpuBusy, temporaryMb, heartbeat, drain } = batch;
  const sentMs = heartbeat?.sentTime?.getTime() ?? NaN;
  const deadlineMs = msOfDuration(drain?.deadline);
  return {
    ...batch,
    cpuBusy: cpuBusy !== undefined && cpuBusy >= 0 ? Math.min(cpuBusy, 1) : undefined, // not NaN either
    temporaryMb: temporaryMb !== undefined && temporaryMb >= 0 ? Math.min(temporaryMb, HELLO_LIMITS.capacityMb) : undefined,
    heartbeat: Number.isNaN(sentMs) ? undefined : heartbeat,
    drain: deadlineMs !== undefined && !(deadlineMs >= 0 && deadlineMs <= DURATIONS.drainTimeout.mostMs) ? { deadline: undefined } : drain,
    reports: batch.reports.filter((report) => isKey(report)),
    instanceChanges: batch.instanceChanges.map((one) => {
      if (one.change?.$case !== 'gone') return one;
      const reason = cutText(one.change.value.reason, LIMITS.reasonBytes);
      return { ...one, change: { $case: 'gone', value: { ...one.change.value, reason } } };
    }),
  };
}

function instanceRefusal(field: string, { instanceId, function: fn, attempt, grant }: InstanceReport): Refusal | undefined {
  return (
    check(`${field}.grant`, (grant?.length ?? 0) <= MAX_GRANT_BYTES, `at most ${MAX_GRANT_BYTES} bytes`) ??
    check(`${field}.instance_id`, ID.test(instanceId), 'letters, digits, ".", "_" and "-", at most 128') ??
    (fn && functionRefusal(`${field}.function`, fn)) ??
    (attempt && keyRefusal(`${field}.attempt`, attempt))
  );
}

function functionRefusal(field: string, { namespace, name, version, revision, memoryMb }: Fn): Refusal | undefined {
  return (
    check(`${field}.namespace`, NAME.test(namespace), 'the name of a namespace') ??
    check(`${field}.name`, NAME.test(name), 'the name of a function') ??
    check(`${field}.version`, VERSION.test(version), '"$LATEST" or the number of a version') ??
    checkInteger(`${field}.revision`, revision, 0, 2 ** 31 - 1) ??
    checkInteger(`${field}.memory_mb`, memoryMb, 1, MEMORY_MB.most)
  );
}

function keyRefusal(field: string, key: AttemptKey): Refusal | undefined {
  return check(field, isKey(key), 'an event, the number of an attempt, and a partition or none');
}

function isKey({ eventId, attempt, partition, grant }: AttemptKey): boolean {
  return EVENT_ID.test(eventId) && attempt >= 1 && (partition ?? 0) >= 0 && (grant?.length ?? 0) <= MAX_GRANT_BYTES;
}

function boundAbility(ability: Ability): Ability {
  return { ...ability, detail: cutText(ability.detail, LIMITS.reasonBytes) };
}

function checkInteger(field: string, value: number, min: number, max: number): Refusal | undefined {
  return check(field, Number.isInteger(value) && value >= min && value <= max, `a whole number from ${min} to ${max}`);
}

function count(field: string, items: readonly unknown[], most: number): Refusal | undefined {
  return check(field, items.length <= most, `at most ${most}; these are ${items.length}`);
}

function distinct<T>(field: string, items: readonly T[], keyOf: (item: T) => string): Refusal | undefined {
  return check(field, new Set(items.map(keyOf)).size === items.length, 'each of them once');
}

function check(field: string, isGood: boolean, rule: string): Refusal | undefined {
  return isGood ? undefined : invalidField(`hello.${field}`, rule);
}
