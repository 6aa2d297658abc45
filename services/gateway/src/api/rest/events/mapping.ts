import { type Attempt, Attempt_Outcome, type Event, Event_State } from '@evenfall/contracts/v1/event';
import { jsonOrString } from '@evenfall/json-text';
import { deliveryJson } from '../functions/destination.ts';
import { nameOf } from '../json/enum-names.ts';
import { terminationJson } from '../termination/mapping.ts';

/**
 * Writes an event as JSON text. Results and errors are JSON already and are put in as they are: writing them again would change numbers that
 * JavaScript cannot hold. What is no JSON (it was cut, or stored before agents checked it) is shown as a string.
 */
export function eventText(event: Event): string {
  const head = JSON.stringify({
    id: event.id,
    namespace: event.namespace,
    function: event.function,
    qualifier: event.qualifier,
    version: event.version,
    trigger: event.trigger,
    state: nameOf(Event_State, event.state) ?? null,
    status_code: event.statusCode,
  });
  const tail = JSON.stringify({
    ...(event.resultTruncated ? { result_truncated: true } : {}),
    create_time: event.createTime ?? null,
    start_time: event.startTime ?? null,
    end_time: event.endTime ?? null,
    next_attempt_time: event.nextAttemptTime ?? null,
    termination: event.termination ? terminationJson(event.termination) : null,
    ...(event.redrivenFrom === '' ? {} : { redriven_from: event.redrivenFrom }),
    ...(event.redrivenTo === undefined ? {} : { redriven_to: event.redrivenTo }),
    ...(event.requestSha256 === undefined ? {} : { request_sha256: event.requestSha256 }),
    ...(event.originEventId === '' ? {} : { origin_event_id: event.originEventId }),
    ...(event.deliveries.length === 0 ? {} : { deliveries: event.deliveries.map(deliveryJson) }),
  });
  const attempts = `"attempts":[${event.attempts.map(attemptText).join(',')}]`;
  return `${head.slice(0, -1)},"result":${jsonOrString(event.result)},"error":${jsonOrString(event.error)},${attempts},${tail.slice(1)}`;
}

function attemptText(attempt: Attempt): string {
  const text = JSON.stringify(attemptJson(attempt));
  return attempt.error.length === 0 ? text : `${text.slice(0, -1)},"error":${jsonOrString(attempt.error)}}`;
}

function attemptJson(attempt: Attempt): object {
  const outcome = nameOf(Attempt_Outcome, attempt.outcome);
  const cold = attempt.coldStartDetail;
  return {
    number: attempt.number,
    instance_id: attempt.instanceId,
    agent_id: attempt.agentId,
    cold_start: attempt.coldStart,
    revision: attempt.revision ?? null,
    start_time: attempt.startTime ?? null,
    end_time: attempt.endTime ?? null,
    outcome: outcome ?? null,
    status_code: attempt.statusCode,
    duration_ms: attempt.durationMs,
    memory_bytes: Number(attempt.memoryBytes),
    ...(outcome === 'EXITED' ? { exit_code: attempt.exitCode } : {}),
    ...(attempt.signal === '' ? {} : { signal: attempt.signal }),
    ...(cold
      ? { cold_start_detail: { pull_code_ms: cold.pullCodeMs, init_runtime_ms: cold.initRuntimeMs, init_function_ms: cold.initFunctionMs } }
      : {}),
    ...(attempt.stop ? { stop: terminationJson(attempt.stop) } : {}),
  };
}
