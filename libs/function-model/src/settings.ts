import type { EventInvokeConfig, FunctionMessage, Hook } from '@evenfall/contracts/v1/function';
import { invalidField, type Refusal } from '@evenfall/errors';
import { storedDestination } from './destinations.ts';
import { durationOr, durationRefusal, DURATIONS } from './durations.ts';
import { instanceBounds } from './instance-bounds.ts';
import { INSTANCE_BOUNDS, MEMORY_MB, RETRIES, TEXT_LIMITS } from './limits.ts';
import { handlerOr, handlerRefusal, hookHandlerRefusal, portOr, portRefusal, type Runtime, RUNTIMES, runtimeOf } from './runtimes.ts';
import { byCauseRefusal, completeByCause, completePolicy, policyRefusal } from './termination.ts';
import { annotationsRefusal, environmentRefusal } from './text-maps.ts';
import { timeoutMsOf } from './time-limits.ts';

/** What a caller decides about a function; everything else of it is the registry's. */
export type FunctionSettings = Pick<
  FunctionMessage,
  | 'description'
  | 'runtime'
  | 'handler'
  | 'timeout'
  | 'memoryMb'
  | 'tmpMb'
  | 'maxProcesses'
  | 'environment'
  | 'termination'
  | 'eventInvoke'
  | 'initializer'
  | 'preStop'
  | 'initTimeout'
  | 'annotations'
  | 'terminationByCause'
  | 'port'
>;

/** Checks settings, but for destinations, and completes what was left out (function.proto); or INVALID_FIELD for the first that cannot be. */
export function completeSettings(given: FunctionSettings): FunctionSettings | Refusal {
  const runtime = runtimeOf(given.runtime);
  const description = descriptionRefusal(given.description);
  if (description || !runtime) return description ?? invalidField('runtime', `one of ${RUNTIMES.join(', ')}`);
  return settingsRefusal(runtime, given) ?? completed(runtime, given);
}

/** Why a description of a function or a version cannot be: INVALID_FIELD. */
export function descriptionRefusal(text: string): Refusal | undefined {
  const most = TEXT_LIMITS.description;
  if (text.length <= most || Array.from(text).length <= most) return undefined; // a pair of surrogates is one character
  return invalidField('description', `at most ${most} characters`);
}

function settingsRefusal(runtime: Runtime, given: FunctionSettings): Refusal | undefined {
  return (
    handlerRefusal(runtime, 'handler', handlerOr(runtime, given.handler)) ??
    environmentRefusal(given.environment) ??
    annotationsRefusal(given.annotations) ??
    durationRefusal('timeout', given.timeout, DURATIONS.timeout) ??
    memoryRefusal(given.memoryMb) ??
    boundsRefusal(given) ??
    policyRefusal('termination', given.termination) ??
    byCauseRefusal(given.terminationByCause, timeoutMsOf(given)) ??
    eventInvokeRefusal(given.eventInvoke) ??
    hookRefusal(runtime, 'initializer', given.initializer) ??
    hookRefusal(runtime, 'pre_stop', given.preStop) ??
    durationRefusal('init_timeout', given.initTimeout, DURATIONS.initTimeout) ??
    portRefusal(runtime, given.port)
  );
}

/** Settings that have been checked, with nothing left out. */
function completed(runtime: Runtime, given: FunctionSettings): FunctionSettings {
  return {
    description: given.description,
    runtime,
    handler: handlerOr(runtime, given.handler),
    timeout: durationOr(given.timeout, DURATIONS.timeout),
    memoryMb: given.memoryMb || MEMORY_MB.default,
    ...instanceBounds(given),
    environment: given.environment,
    termination: completePolicy(given.termination),
    terminationByCause: completeByCause(given.terminationByCause),
    eventInvoke: completeEventInvoke(given.eventInvoke),
    initializer: completeHook(given.initializer),
    preStop: completeHook(given.preStop),
    initTimeout: durationOr(given.initTimeout, DURATIONS.initTimeout),
    annotations: given.annotations,
    port: portOr(runtime, given.port),
  };
}

function memoryRefusal(mb: number): Refusal | undefined {
  const { least, step, most } = MEMORY_MB;
  if (mb === 0 || mb === least || (mb >= step && mb <= most && mb % step === 0)) return undefined;
  return invalidField('memory_mb', `${least}, or ${step} to ${most} in steps of ${step}`);
}

function boundsRefusal(given: FunctionSettings): Refusal | undefined {
  const bounds = instanceBounds(given);
  const { tmpMb, maxProcesses } = INSTANCE_BOUNDS;
  if (bounds.tmpMb < tmpMb.least || bounds.tmpMb > tmpMb.most) return invalidField('tmp_mb', `${tmpMb.least} to ${tmpMb.most}`);
  if (bounds.maxProcesses < maxProcesses.least || bounds.maxProcesses > maxProcesses.most)
    return invalidField('max_processes', `${maxProcesses.least} to ${maxProcesses.most}`);
  return undefined;
}

function eventInvokeRefusal(given: EventInvokeConfig | undefined): Refusal | undefined {
  const { maxRetries = RETRIES.default, retryInterval, maxEventAge } = given ?? {};
  if (maxRetries < RETRIES.least || maxRetries > RETRIES.most)
    return invalidField('event_invoke.max_retries', `a whole number from ${RETRIES.least} to ${RETRIES.most}`);
  return (
    durationRefusal('event_invoke.retry_interval', retryInterval, DURATIONS.retryInterval) ??
    durationRefusal('event_invoke.max_event_age', maxEventAge, DURATIONS.maxEventAge)
  );
}

function completeEventInvoke(given: EventInvokeConfig | undefined): EventInvokeConfig {
  return {
    maxRetries: given?.maxRetries ?? RETRIES.default,
    retryInterval: durationOr(given?.retryInterval, DURATIONS.retryInterval),
    maxEventAge: durationOr(given?.maxEventAge, DURATIONS.maxEventAge),
    onSuccess: storedDestination(given?.onSuccess),
    onFailure: storedDestination(given?.onFailure),
  };
}

function hookRefusal(runtime: Runtime, field: string, given: Hook | undefined): Refusal | undefined {
  if (!given) return undefined;
  return hookHandlerRefusal(runtime, field, given.handler) ?? durationRefusal(`${field}.timeout`, given.timeout, DURATIONS.hookTimeout);
}

function completeHook(given: Hook | undefined): Hook | undefined {
  return given && { handler: given.handler, timeout: durationOr(given.timeout, DURATIONS.hookTimeout) };
}
