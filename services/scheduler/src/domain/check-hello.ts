import type { AttemptKey } from '@evenfall/contracts/attempt/v1/attempt';
import type { AttachRequest, Hello, InstanceReport } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import type { Ability } from '@evenfall/contracts/v1/operator_service';
import { refuse, type Refusal } from '@evenfall/errors';
import { cutText, LIMITS } from '@evenfall/event-model';
import { msOfDuration } from '@evenfall/time';

/** What a host may say of itself: more than any has, so that one agent cannot fill the scheduler's memory. */
export const HELLO_LIMITS = {
  /** Megabytes of a host: EVENFALL_AGENT_CAPACITY_MB takes no more. */
  capacityMb: 16_777_216,
  parallelStarts: 256,
  instances: 20_000,
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
const NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,59}$/;
const VERSION = /^(?:\$LATEST|[1-9]\d{0,8})$/;
const ABILITY = /^[a-z0-9][a-z0-9-]{0,63}$/;
const EVENT_ID = /^[A-Za-z0-9-]{1,64}$/;
const MAX_MEMORY_MB = 131_072;
const MAX_GRANT_BYTES = 64;
const MAX_DRAIN_MS = 24 * 3_600_000;

/** The hello of an agent within its limits: words for people are cut, what the scheduler counts and looks up by is refused. Throws INVALID_FIELD. */
export function checkedHello(hello: Hello): Hello {
  check('agent_id', ID.test(hello.agentId), 'letters, digits, ".", "_" and "-", at most 128');
  check('session_id', ID.test(hello.sessionId), 'letters, digits, ".", "_" and "-", at most 128');
  whole('capacity_mb', hello.capacityMb, 0, HELLO_LIMITS.capacityMb);
  whole('parallel_starts', hello.parallelStarts, 1, HELLO_LIMITS.parallelStarts);
  count('instances', hello.instances, HELLO_LIMITS.instances);
  count('held', hello.held, HELLO_LIMITS.held);
  count('abilities', hello.abilities, HELLO_LIMITS.abilities);
  distinct('instances', hello.instances, ({ instanceId }) => instanceId);
  distinct('held', hello.held, ({ eventId }) => eventId);
  distinct('abilities', hello.abilities, ({ name }) => name);
  hello.instances.forEach((report, n) => checkInstance(`instances[${n}]`, report));
  hello.held.forEach((key, n) => checkKey(`held[${n}]`, key));
  return { ...hello, abilities: hello.abilities.map((ability, n) => checkedAbility(`abilities[${n}]`, ability)) };
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
    drain: deadlineMs !== undefined && !(deadlineMs >= 0 && deadlineMs <= MAX_DRAIN_MS) ? { deadline: undefined } : drain,
    reports: batch.reports.filter((report) => isKey(report)),
    instanceChanges: batch.instanceChanges.map((one) => {
      if (one.change?.$case !== 'gone') return one;
      const reason = cutText(one.change.value.reason, LIMITS.reasonBytes);
      return { ...one, change: { $case: 'gone', value: { ...one.change.value, reason } } };
    }),
  };
}

function checkInstance(field: string, { instanceId, function: fn, attempt, grant }: InstanceReport): void {
  check(`${field}.grant`, (grant?.length ?? 0) <= MAX_GRANT_BYTES, `at most ${MAX_GRANT_BYTES} bytes`);
  check(`${field}.instance_id`, ID.test(instanceId), 'letters, digits, ".", "_" and "-", at most 128');
  if (fn) checkFunction(`${field}.function`, fn);
  if (attempt) checkKey(`${field}.attempt`, attempt);
}

function checkFunction(field: string, { namespace, name, version, revision, memoryMb }: Fn): void {
  check(`${field}.namespace`, NAME.test(namespace), 'the name of a namespace');
  check(`${field}.name`, NAME.test(name), 'the name of a function');
  check(`${field}.version`, VERSION.test(version), '"$LATEST" or the number of a version');
  whole(`${field}.revision`, revision, 0, 2 ** 31 - 1);
  whole(`${field}.memory_mb`, memoryMb, 1, MAX_MEMORY_MB);
}

function checkKey(field: string, key: AttemptKey): void {
  check(field, isKey(key), 'an event, the number of an attempt, and a partition or none');
}

function isKey({ eventId, attempt, partition, grant }: AttemptKey): boolean {
  return EVENT_ID.test(eventId) && attempt >= 1 && (partition ?? 0) >= 0 && (grant?.length ?? 0) <= MAX_GRANT_BYTES;
}

function checkedAbility(field: string, ability: Ability): Ability {
  check(`${field}.name`, ABILITY.test(ability.name), 'lower-case letters, digits and "-", at most 64');
  return { ...ability, detail: cutText(ability.detail, LIMITS.reasonBytes) };
}

function whole(field: string, value: number, min: number, max: number): void {
  check(field, Number.isInteger(value) && value >= min && value <= max, `a whole number from ${min} to ${max}`);
}

function count(field: string, items: readonly unknown[], most: number): void {
  check(field, items.length <= most, `at most ${most}; these are ${items.length}`);
}

function distinct<T>(field: string, items: readonly T[], keyOf: (item: T) => string): void {
  check(field, new Set(items.map(keyOf)).size === items.length, 'each of them once');
}

function check(field: string, isGood: boolean, rule: string): void {
  if (!isGood) throw invalid(field, rule);
}

function invalid(field: string, rule: string): Refusal {
  return refuse('INVALID_FIELD', { field: `hello.${field}`, rule });
}
