import { EventInvokeConfig, FunctionMessage, type Hook } from '@evenfall/contracts/v1/function';
import type { Static } from '@sinclair/typebox';
import { always, defined, durationFrom, durationText } from '../json/values.ts';
import { byCauseFrom, byCauseJson, policyFrom, policyJson } from '../termination/mapping.ts';
import { destinationFrom, destinationJson } from './destination.ts';
import type { EventInvoke, EventInvokeBody, FunctionAnswerBody, FunctionSettingsBody, HookBody, HookSchema } from './schema.ts';

export function functionJson(fn: FunctionMessage): FunctionAnswerBody {
  return {
    namespace: fn.namespace,
    name: fn.name,
    version: fn.version,
    revision: fn.revision,
    uid: fn.uid,
    description: fn.description,
    runtime: fn.runtime,
    handler: fn.handler,
    timeout: always(durationText(fn.timeout)),
    memory_mb: fn.memoryMb,
    tmp_mb: fn.tmpMb,
    max_processes: fn.maxProcesses,
    environment: fn.environment,
    annotations: fn.annotations,
    termination: fn.termination ? policyJson(fn.termination) : null,
    termination_by_cause: fn.terminationByCause ? byCauseJson(fn.terminationByCause) : null,
    event_invoke: fn.eventInvoke ? eventInvokeJson(fn.eventInvoke) : null,
    initializer: hookJson(fn.initializer),
    pre_stop: hookJson(fn.preStop),
    init_timeout: always(durationText(fn.initTimeout)),
    port: fn.port === 0 ? null : fn.port,
    code_sha256: fn.codeSha256,
    code_size_bytes: Number(fn.codeSizeBytes),
    create_time: always(fn.createTime),
    update_time: always(fn.updateTime),
  };
}

export function eventInvokeJson(config: EventInvokeConfig): Static<typeof EventInvoke> {
  return defined({
    max_retries: config.maxRetries,
    retry_interval: durationText(config.retryInterval),
    max_event_age: durationText(config.maxEventAge),
    on_success: destinationJson(config.onSuccess),
    on_failure: destinationJson(config.onFailure),
  });
}

export function eventInvokeFrom(body: EventInvokeBody): EventInvokeConfig {
  return EventInvokeConfig.create({
    maxRetries: body.max_retries,
    retryInterval: durationFrom(body.retry_interval),
    maxEventAge: durationFrom(body.max_event_age),
    onSuccess: destinationFrom(body.on_success),
    onFailure: destinationFrom(body.on_failure),
  });
}

/** Reads a function; what is left out stays empty, for the registry to fill. */
export function functionFrom(namespace: string, name: string, body: FunctionSettingsBody): FunctionMessage {
  return {
    ...FunctionMessage.create(),
    namespace,
    name,
    description: body.description ?? '',
    runtime: body.runtime ?? '',
    handler: body.handler ?? '',
    timeout: durationFrom(body.timeout),
    memoryMb: body.memory_mb ?? 0,
    tmpMb: body.tmp_mb ?? 0,
    maxProcesses: body.max_processes ?? 0,
    environment: body.environment ?? {},
    annotations: body.annotations ?? {},
    termination: body.termination && policyFrom(body.termination),
    terminationByCause: body.termination_by_cause && byCauseFrom(body.termination_by_cause),
    eventInvoke: body.event_invoke && eventInvokeFrom(body.event_invoke),
    initializer: hookFrom(body.initializer),
    preStop: hookFrom(body.pre_stop),
    initTimeout: durationFrom(body.init_timeout),
    port: body.port ?? 0,
  };
}

function hookJson(hook: Hook | undefined): Static<typeof HookSchema> | null {
  return hook ? defined({ handler: hook.handler, timeout: durationText(hook.timeout) }) : null;
}

function hookFrom(body: HookBody | undefined): Hook | undefined {
  return body && { handler: body.handler ?? '', timeout: durationFrom(body.timeout) };
}
