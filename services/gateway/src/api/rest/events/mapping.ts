import {
  type Attempt,
  Attempt_Outcome,
  type Delivery,
  Delivery_Kind,
  Delivery_State,
  type Event,
  Event_State,
} from '@evenfall/contracts/v1/event';
import type { CountEventsResponse, RefusedSubmission } from '@evenfall/contracts/v1/event_service';
import { type Reason, Refusal } from '@evenfall/errors';
import { jsonOrString } from '@evenfall/json-text';
import type { Static } from '@sinclair/typebox';
import { errorBody } from '../../http/errors.ts';
import { nameOf } from '../json/enum-names.ts';
import type { JsonText } from '../json/text.ts';
import { always, textOrNull } from '../json/values.ts';
import { terminationJson } from '../termination/mapping.ts';
import type { AttemptBody, BatchAnswer, Counts, DeliveryBody, EventBody, EventPage } from './schema.ts';

/** The fields of an event whose values are JSON text already: what functions answered. */
type TextField = 'result' | 'error' | 'attempts';
type HeadField = 'id' | 'namespace' | 'function' | 'qualifier' | 'version' | 'trigger' | 'state' | 'status_code';

/**
 * Writes an event as JSON text. Results and errors are JSON already and are put in as they are: writing them again would change numbers that
 * JavaScript cannot hold. What is no JSON (it was cut, or stored before agents checked it) is shown as a string.
 */
export function eventText(event: Event): JsonText<EventBody> {
  const head: Pick<EventBody, HeadField> = {
    id: event.id,
    namespace: event.namespace,
    function: event.function,
    qualifier: event.qualifier,
    version: event.version,
    trigger: event.trigger,
    state: always(nameOf(Event_State, event.state)),
    status_code: event.statusCode,
  };
  const tail: Omit<EventBody, HeadField | TextField> = {
    ...(event.resultTruncated ? { result_truncated: true } : {}),
    create_time: always(event.createTime),
    start_time: event.startTime ?? null,
    end_time: event.endTime ?? null,
    next_attempt_time: event.nextAttemptTime ?? null,
    termination: event.termination ? terminationJson(event.termination) : null,
    ...(event.redrivenFrom === '' ? {} : { redriven_from: event.redrivenFrom }),
    ...(event.redrivenTo === undefined ? {} : { redriven_to: event.redrivenTo }),
    ...(event.requestSha256 === undefined ? {} : { request_sha256: event.requestSha256 }),
    ...(event.originEventId === '' ? {} : { origin_event_id: event.originEventId }),
    ...(event.deliveries.length === 0 ? {} : { deliveries: event.deliveries.map(deliveryJson) }),
  };
  const attempts = `"attempts":[${event.attempts.map(attemptText).join(',')}]`;
  const answers = `"result":${jsonOrString(event.result)},"error":${jsonOrString(event.error)}`;
  return `${JSON.stringify(head).slice(0, -1)},${answers},${attempts},${JSON.stringify(tail).slice(1)}`;
}

/** A page of events; their number on all pages where it was counted. */
export function eventPageText(page: {
  readonly events: readonly Event[];
  readonly nextPageToken: string;
  readonly totalSize?: bigint | undefined;
  readonly totalSizeIsEstimate: boolean;
}): JsonText<Static<typeof EventPage>> {
  const { totalSize, totalSizeIsEstimate } = page;
  const total = totalSize === undefined ? '' : `,"total_size":${totalSize},"total_size_is_estimate":${totalSizeIsEstimate}`;
  return `{"events":[${page.events.map(eventText).join(',')}],"next_page_token":${JSON.stringify(page.nextPageToken)}${total}}`;
}

export function countsJson({ counts }: CountEventsResponse): Static<typeof Counts> {
  return {
    counts: counts.map((one) => ({ function: one.function, state: always(nameOf(Event_State, one.state)), count: Number(one.count) })),
  };
}

/** Each event of a batch by its id, or by its error, in the order they came. */
export function batchJson(eventIds: readonly string[], refused: readonly RefusedSubmission[]): Static<typeof BatchAnswer> {
  const errors = new Map(refused.map(({ index, reason, metadata }) => [index, errorBody([new Refusal(reason as Reason, metadata)])])); // a flow of this service made it
  return { events: eventIds.map((id, index) => errors.get(index) ?? { id }) };
}

function attemptText(attempt: Attempt): JsonText<AttemptBody> {
  const text = JSON.stringify(attemptJson(attempt));
  return attempt.error.length === 0 ? text : `${text.slice(0, -1)},"error":${jsonOrString(attempt.error)}}`;
}

function attemptJson(attempt: Attempt): Omit<AttemptBody, 'error'> {
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

function deliveryJson(delivery: Delivery): DeliveryBody {
  return {
    kind: always(nameOf(Delivery_Kind, delivery.kind)),
    target: delivery.target,
    state: always(nameOf(Delivery_State, delivery.state)),
    attempt_count: delivery.attemptCount,
    last_error: textOrNull(delivery.lastError),
    time: always(delivery.time),
    ...(delivery.eventId === '' ? {} : { event_id: delivery.eventId }),
  };
}
