import type { EventInvokeConfig, FunctionMessage, Hook } from '@evenfall/contracts/v1/function';
import { INSTANCE_BOUNDS, instanceBounds } from '@evenfall/event-model';
import { msOfDuration } from '@evenfall/time';
import { checkAnnotations } from './annotations.ts';
import { keepSecrets, storedDestination } from './destinations.ts';
import { checkEnvironment } from './environment.ts';
import { boundedDuration, invalid } from './fields.ts';
import { checkHookHandler, completeHandler, completePort, type Runtime, runtimeOf } from './handler.ts';
import { applyMask } from './settings-mask.ts';
import { completeByCause, completePolicy, withoutOwnDefaults } from './termination.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DEFAULT_MEMORY_MB = 128;

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

/** Checks settings, but for destinations, and fills in what was left out (function.proto; limits as in semantics §3). */
export function completeSettings(given: FunctionSettings): FunctionSettings {
  if (given.description.length > 1_000 && Array.from(given.description).length > 1_000)
    throw invalid('description', 'at most 1000 characters');
  const runtime = runtimeOf(given.runtime);
  const handler = completeHandler(runtime, given.handler);
  checkEnvironment(given.environment);
  checkAnnotations(given.annotations);
  const timeout = boundedDuration('timeout', given.timeout, SECOND, 24 * HOUR, 3 * SECOND);
  return {
    description: given.description,
    runtime,
    handler,
    timeout,
    memoryMb: memoryOf(given.memoryMb),
    ...boundsOf(given),
    environment: given.environment,
    termination: completePolicy(given.termination),
    terminationByCause: completeByCause(given.terminationByCause, msOfDuration(timeout)),
    eventInvoke: completeEventInvoke(given.eventInvoke),
    initializer: completeHook(runtime, 'initializer', given.initializer),
    preStop: completeHook(runtime, 'pre_stop', given.preStop),
    initTimeout: boundedDuration('init_timeout', given.initTimeout, 3 * SECOND, 300 * SECOND, 65 * SECOND),
    annotations: given.annotations,
    port: completePort(runtime, given.port),
  };
}

/** The settings with those changed that the mask names; secrets of webhooks stay where their URL does. */
export function mergeSettings(current: FunctionSettings, wanted: FunctionSettings, mask: readonly string[]): FunctionSettings {
  const open = { ...current, terminationByCause: withoutOwnDefaults(current.terminationByCause) };
  const merged = applyMask(open, wanted, mask);
  return { ...merged, eventInvoke: keepSecrets(current.eventInvoke, merged.eventInvoke) };
}

function memoryOf(mb: number): number {
  if (mb === 0) return DEFAULT_MEMORY_MB;
  if (mb === 64 || (mb >= 128 && mb <= 131_072 && mb % 128 === 0)) return mb;
  throw invalid('memory_mb', '64, or 128 to 131072 in steps of 128');
}

function boundsOf(given: Pick<FunctionSettings, 'tmpMb' | 'maxProcesses'>): Pick<FunctionSettings, 'tmpMb' | 'maxProcesses'> {
  const bounds = instanceBounds(given);
  const { tmpMb, maxProcesses } = INSTANCE_BOUNDS;
  if (bounds.tmpMb < tmpMb.least || bounds.tmpMb > tmpMb.most) throw invalid('tmp_mb', `${tmpMb.least} to ${tmpMb.most}`);
  if (bounds.maxProcesses < maxProcesses.least || bounds.maxProcesses > maxProcesses.most)
    throw invalid('max_processes', `${maxProcesses.least} to ${maxProcesses.most}`);
  return bounds;
}

function completeEventInvoke(given: EventInvokeConfig | undefined): EventInvokeConfig {
  const maxRetries = given?.maxRetries ?? 2;
  if (maxRetries < 0 || maxRetries > 8) throw invalid('event_invoke.max_retries', 'a whole number from 0 to 8');
  return {
    maxRetries,
    retryInterval: boundedDuration('event_invoke.retry_interval', given?.retryInterval, SECOND, HOUR, 60 * SECOND),
    maxEventAge: boundedDuration('event_invoke.max_event_age', given?.maxEventAge, 60 * SECOND, 6 * HOUR, 6 * HOUR),
    onSuccess: storedDestination(given?.onSuccess),
    onFailure: storedDestination(given?.onFailure),
  };
}

function completeHook(runtime: Runtime, field: string, given: Hook | undefined): Hook | undefined {
  if (!given) return undefined;
  checkHookHandler(runtime, field, given.handler);
  return { handler: given.handler, timeout: boundedDuration(`${field}.timeout`, given.timeout, SECOND, 300 * SECOND, 3 * SECOND) };
}
