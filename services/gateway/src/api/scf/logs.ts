import { Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest, ListEventsRequest_Order } from '@evenfall/contracts/v1/event_service';
import { Type } from '@sinclair/typebox';
import { listEventsByOffset } from '../../flows/list-events.ts';
import { action, namespaceOf, type ScfCall } from './action.ts';
import { scfError } from './codes.ts';
import { findEvent, isOf, timeOf } from './events.ts';
import { found } from './functions.ts';
import { Limit, OF_FUNCTION, STRICT, integerOf, wordOf } from './parameters.ts';
import { logText, readLog, type Run, runOfCall, runOfEvent } from './runs.ts';

const DEFAULT_WINDOW_MS = 15 * 60_000;
const DAY_MS = 24 * 3_600_000;
const MOST_ROWS = 10_000;
const DEFAULT_LIMIT = 20;
/** Bytes of all logs of one answer. */
const ANSWER_BYTES = 6 * 1024 * 1024;
/** The states of SCF's codes of a result. The other kinds of failures that SCF has are not stored where lists are read. */
const STATES_OF_CODE: Readonly<Record<string, readonly State[]>> = {
  is0: [State.SUCCEEDED],
  not0: [State.FAILED, State.EXPIRED, State.TERMINATED],
};

const TEXT = Type.Optional(Type.String());

export const getRequestStatus = action(
  Type.Object({ ...OF_FUNCTION, FunctionRequestId: Type.String(), StartTime: TEXT, EndTime: TEXT }, STRICT),
  async (call, input) => {
    const { from, to } = windowOf(call, input) ?? lastMinutes(call);
    const fn = input.FunctionName;
    const run = await runOf(call, input, input.FunctionRequestId);
    if (!run) await found(call, input, fn);
    if (!run || !overlaps(run, from, to)) return { TotalCount: 0, Data: [] };
    return {
      TotalCount: 1,
      Data: [
        {
          FunctionName: fn,
          RetMsg: run.retMsg,
          RequestId: run.requestId,
          StartTime: call.zone.seconds(run.startTime),
          RetCode: run.isRunning ? 1 : run.statusCode === 200 ? 0 : -1,
          Duration: run.durationMs,
          MemUsage: run.memoryBytes,
          RetryNum: run.retryNumber,
        },
      ],
    };
  },
);

export const getFunctionLogs = action(
  Type.Object(
    {
      ...OF_FUNCTION,
      Offset: Type.Optional(integerOf(0, 2 ** 31 - 1, 'InvalidParameterValue.Offset')),
      Limit,
      Order: Type.Optional(wordOf(['desc', 'asc', 'DESC', 'ASC'], 'InvalidParameterValue.Order')),
      OrderBy: Type.Optional(wordOf(['function_name', 'duration', 'mem_usage', 'start_time'], 'InvalidParameterValue.OrderBy')),
      Filter: Type.Optional(
        Type.Object(
          {
            RetCode: Type.Optional(
              wordOf(
                ['not0', 'is0', 'TimeLimitExceeded', 'ResourceLimitExceeded', 'UserCodeException', ''],
                'InvalidParameterValue.RetCode',
              ),
            ),
          },
          STRICT,
        ),
      ),
      Qualifier: TEXT,
      FunctionRequestId: TEXT,
      StartTime: TEXT,
      EndTime: TEXT,
      SearchContext: Type.Optional(Type.Object({ Offset: TEXT, Limit: Type.Optional(Type.Integer()), Keyword: TEXT, Type: TEXT }, STRICT)),
    },
    STRICT,
  ),
  async (call, input) => {
    const { Offset: offset = 0, Limit: limit = DEFAULT_LIMIT, OrderBy: orderBy = 'start_time', FunctionRequestId: requestId = '' } = input;
    if (offset + limit > MOST_ROWS) throw scfError('LimitExceeded.Offset', 'Offset and Limit together are at most 10000.');
    if (orderBy === 'duration' || orderBy === 'mem_usage') throw scfError('UnsupportedOperation', 'Logs are ordered by start_time here.');
    const window = windowOf(call, input);
    if (window && window.to.getTime() - window.from.getTime() > DAY_MS) {
      throw scfError('InvalidParameterValue.StartTimeOrEndTime', 'The two are at most a day apart.');
    }
    const { runs, total } =
      requestId === '' ? await runsIn(call, input, offset, limit, window) : await oneRun(call, input, requestId, offset, window);
    const data: object[] = [];
    let bytes = ANSWER_BYTES;
    for (const run of runs) {
      const log = logText((await readLog(call.gateway, run.requestId, bytes)) ?? []);
      bytes = Math.max(0, bytes - Buffer.byteLength(log));
      data.push(logItem(call, input.FunctionName, run, log));
    }
    return { TotalCount: total, Data: data, SearchContext: { Offset: '', Limit: 0, Keyword: '', Type: '' } };
  },
);

type Window = { readonly from: Date; readonly to: Date };
type Named = { readonly FunctionName: string; readonly Namespace?: string };
type LogQuery = Named & { readonly Qualifier?: string; readonly Order?: string; readonly Filter?: { readonly RetCode?: string } };

/** Requests of a function in the order they started. Synchronous calls are not among them: of those only the log is kept, by its id. */
async function runsIn(call: ScfCall, input: LogQuery, offset: number, limit: number, window: Window | undefined) {
  const retCode = input.Filter?.RetCode ?? '';
  const states = retCode === '' ? [] : STATES_OF_CODE[retCode];
  if (!states) throw scfError('UnsupportedOperation', `The filter ${retCode} is not supported here; is0 and not0 are.`);
  const qualifier = input.Qualifier ?? '';
  const query: ListEventsRequest = {
    ...ListEventsRequest.create(),
    namespace: namespaceOf(input),
    function: input.FunctionName,
    qualifier: qualifier === '$DEFAULT' ? '$LATEST' : qualifier,
    states: [...states],
    startTimeAfter: window?.from,
    startTimeBefore: window?.to,
    order: input.Order?.toLowerCase() === 'asc' ? ListEventsRequest_Order.ASC : ListEventsRequest_Order.DESC,
    pageSize: limit,
  };
  const { events, totalCount } = await listEventsByOffset(call.gateway, { query, offset, eventId: '' });
  if (totalCount === 0n) await found(call, input, input.FunctionName, qualifier);
  return { runs: events.map(runOfEvent), total: Number(totalCount) };
}

async function oneRun(call: ScfCall, input: Named, requestId: string, offset: number, window: Window | undefined) {
  const run = await runOf(call, input, requestId);
  if (!run) await found(call, input, input.FunctionName);
  const runs = run && (!window || overlaps(run, window.from, window.to)) ? [run] : [];
  return { runs: offset === 0 ? runs : [], total: runs.length };
}

/** The run of a request: an event, or a synchronous call that has left a log. */
async function runOf(call: ScfCall, input: Named, requestId: string): Promise<Run | undefined> {
  const event = await findEvent(call, requestId);
  if (event) return isOf(event, input) ? runOfEvent(event) : undefined;
  const lines = await readLog(call.gateway, requestId);
  return lines && runOfCall(requestId.toLowerCase(), lines);
}

function logItem({ zone }: ScfCall, fn: string, run: Run, log: string) {
  return {
    FunctionName: fn,
    RetMsg: run.retMsg,
    RequestId: run.requestId,
    StartTime: zone.seconds(run.startTime),
    RetCode: retCodeOf(run),
    InvokeFinished: run.isRunning ? 0 : 1,
    Duration: run.durationMs,
    BillDuration: Math.ceil(run.durationMs),
    MemUsage: run.memoryBytes,
    Log: log,
    Level: '',
    Source: '',
    RetryNum: run.retryNumber,
  };
}

/** 0: returned. 2: running. 3: interrupted. Otherwise it failed, and the number is its status code. */
function retCodeOf({ isRunning, isAborted, statusCode }: Run): number {
  if (isRunning) return 2;
  if (isAborted) return 3;
  return statusCode === 200 ? 0 : statusCode;
}

/** The window a request names: both ends, the second one later. */
function windowOf({ zone }: ScfCall, input: { readonly StartTime?: string; readonly EndTime?: string }): Window | undefined {
  const { StartTime: start = '', EndTime: end = '' } = input;
  if (start === '' && end === '') return undefined;
  if (start === '' || end === '') throw scfError('InvalidParameterValue.StartTimeOrEndTime');
  const [from, to] = [timeOf(start, zone), timeOf(end, zone)];
  if (to <= from) throw scfError('InvalidParameterValue.StartTimeOrEndTime', 'The end is later than the start.');
  return { from, to };
}

function lastMinutes({ gateway }: ScfCall): Window {
  const to = gateway.clock.now();
  return { from: new Date(to - DEFAULT_WINDOW_MS), to: new Date(to) };
}

/** Whether it ran at any time in the window: one that runs for hours is found in its last minutes too. */
function overlaps({ startTime, endTime, isRunning }: Run, from: Date, to: Date): boolean {
  if (!startTime || startTime > to) return false;
  return isRunning || (endTime ?? startTime) >= from;
}
