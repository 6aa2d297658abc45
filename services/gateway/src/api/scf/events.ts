import {
  ListEventsRequest,
  ListEventsRequest_Order,
  ListEventsRequest_OrderBy,
  TerminateEventRequest,
} from '@evenfall/contracts/v1/event_service';
import type { Event } from '@evenfall/contracts/v1/event';
import { isRefusal } from '@evenfall/errors';
import { type Static, Type } from '@sinclair/typebox';
import { getEvent } from '../../flows/get-event.ts';
import { listEventsByOffset } from '../../flows/list-events.ts';
import { terminateEvent } from '../../flows/terminate-event.ts';
import { action, namespaceOf, type ScfCall } from './action.ts';
import { scfError } from './codes.ts';
import { startOf, statesOf, STATUSES, statusCodeOf, statusOfEvent } from './event-status.ts';
import { found } from './functions.ts';
import { Limit, OF_FUNCTION, Offset, Order, STRICT, wordOf } from './parameters.ts';
import type { Zone } from './zone.ts';

/** How an event was submitted, as SCF calls it (provider of Terraform, `scf_async_event_management`). */
const INVOKE_TYPES = ['CMQ', 'CKAFKA_TRIGGER', 'APIGW', 'COS', 'TRIGGER_TIMER', 'MPS_TRIGGER', 'CLS_TRIGGER', 'OTHERS'] as const;
/** Submitted by a call of an API. There is no other way yet. */
const BY_API = 'OTHERS';

const Interval = Type.Object({ Start: Type.String(), End: Type.String() }, STRICT);

export const listAsyncEvents = action(
  Type.Object(
    {
      ...OF_FUNCTION,
      Qualifier: Type.Optional(Type.String()),
      InvokeType: Type.Optional(Type.Array(wordOf(INVOKE_TYPES, 'InvalidParameterValue.InvokeType'))),
      Status: Type.Optional(Type.Array(wordOf(STATUSES, 'InvalidParameterValue.Status'))),
      StartTimeInterval: Type.Optional(Interval),
      EndTimeInterval: Type.Optional(Interval),
      Order,
      Orderby: Type.Optional(wordOf(['StartTime', 'EndTime'], 'InvalidParameterValue.Order')),
      Offset,
      Limit,
      InvokeRequestId: Type.Optional(Type.String()),
    },
    STRICT,
  ),
  async (call, input) => {
    const { Qualifier: qualifier = '', InvokeType: types = [], Limit: limit = 20 } = input;
    const [startTimeAfter, startTimeBefore] = intervalOf(input.StartTimeInterval, call.zone);
    const [endTimeAfter, endTimeBefore] = intervalOf(input.EndTimeInterval, call.zone);
    const query: ListEventsRequest = {
      ...ListEventsRequest.create(),
      namespace: namespaceOf(input),
      function: input.FunctionName,
      states: statesOf(input.Status ?? []),
      qualifier,
      startTimeAfter,
      startTimeBefore,
      endTimeAfter,
      endTimeBefore,
      orderBy: input.Orderby === 'EndTime' ? ListEventsRequest_OrderBy.END_TIME : ListEventsRequest_OrderBy.START_TIME,
      order: input.Order === 'ASC' ? ListEventsRequest_Order.ASC : ListEventsRequest_Order.DESC,
      pageSize: limit,
    };
    const { events, totalCount } =
      types.length > 0 && !types.includes(BY_API)
        ? { events: [], totalCount: 0n }
        : await listEventsByOffset(call.gateway, { query, offset: input.Offset ?? 0, eventId: input.InvokeRequestId ?? '' });
    // Events outlive their function; only where there are no events does it matter whether there is a function.
    if (totalCount === 0n) await found(call, input, input.FunctionName, qualifier);
    return { TotalCount: Number(totalCount), EventList: events.map((event) => eventItem(event, call.zone)) };
  },
  { codes: { QUALIFIER_NOT_FOUND: 'ResourceNotFound.Version' } },
);

export const getAsyncEventStatus = action(Type.Object({ InvokeRequestId: Type.String() }, STRICT), async ({ gateway }, input) => {
  const event = await getEvent(gateway, input.InvokeRequestId);
  return { Result: { Status: statusOfEvent(event), StatusCode: statusCodeOf(event), InvokeRequestId: event.id } };
});

export const terminateAsyncEvent = action(
  Type.Object({ ...OF_FUNCTION, InvokeRequestId: Type.String(), GraceShutdown: Type.Optional(Type.Boolean()) }, STRICT),
  async (call, input) => {
    const event = await findEvent(call, input.InvokeRequestId);
    if (!event || !isOf(event, input)) {
      await found(call, input, input.FunctionName);
      throw scfError('ResourceNotFound.AsyncEvent');
    }
    await terminateEvent(call.gateway, call.caller, {
      ...TerminateEventRequest.create(),
      id: event.id,
      graceful: input.GraceShutdown === true,
    });
    return {};
  },
);

/** The event of that id, of any function. */
export async function findEvent(call: ScfCall, id: string): Promise<Event | undefined> {
  try {
    return await getEvent(call.gateway, id);
  } catch (error) {
    if (isRefusal(error) && error.reason === 'EVENT_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Whether an event is one of the function's. */
export function isOf(event: Event, input: { readonly FunctionName: string; readonly Namespace?: string }): boolean {
  return event.namespace === namespaceOf(input) && event.function === input.FunctionName;
}

function eventItem(event: Event, zone: Zone) {
  return {
    InvokeRequestId: event.id,
    InvokeType: BY_API,
    Qualifier: event.version,
    Status: statusOfEvent(event),
    StartTime: zone.milliseconds(startOf(event)),
    EndTime: zone.milliseconds(event.endTime),
  };
}

/** Closed on the left, open on the right. */
function intervalOf(interval: Static<typeof Interval> | undefined, zone: Zone): readonly [Date | undefined, Date | undefined] {
  if (!interval) return [undefined, undefined];
  return [timeOf(interval.Start, zone), timeOf(interval.End, zone)];
}

export function timeOf(text: string, zone: Zone): Date {
  const time = zone.parse(text);
  if (!time) throw scfError('InvalidParameterValue.DateTime', 'A time is written as 2020-12-01 08:35:00.');
  return time;
}
