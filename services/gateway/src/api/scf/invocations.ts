import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { InvokeFunctionResponse } from '@evenfall/contracts/v1/invocation_service';
import { isRefusal } from '@evenfall/errors';
import { type Static, type TObject, Type } from '@sinclair/typebox';
import { createEvent } from '../../flows/create-event.ts';
import { invokeFunction as invokeAndWait } from '../../flows/invoke-function.ts';
import { runnableFunction } from '../../flows/resolve.ts';
import { action, namespaceOf, type ScfAnswer, type ScfCall } from './action.ts';
import { type ScfCode, scfError } from './codes.ts';
import { runsAsynchronously } from './function-names.ts';
import { OF_FUNCTION, STRICT, wordOf } from './parameters.ts';

/** A payload of 6 MB as text inside JSON: every quote of it has a backslash before it. */
const INVOKE_BODY_BYTES = 16 * 1024 * 1024;
const MAX_ROUTING_KEY_BYTES = 1_024;
/** The event of a call that has none. */
const NO_EVENT = '{}';
const RESULT_OF_EVENT = { Log: '', RetMsg: '', ErrMsg: '', MemUsage: 0, Duration: 0, BillDuration: 0, InvokeResult: 0 };
const THROTTLED = 432;

const SHARED = {
  ...OF_FUNCTION,
  Qualifier: Type.Optional(Type.String()),
  LogType: Type.Optional(wordOf(['None', 'Tail'], 'InvalidParameterValue.Param')),
  RoutingKey: Type.Optional(Type.String()),
};
type Shared = Static<TObject<typeof SHARED>>;

export const invoke = action(
  Type.Object(
    {
      ...SHARED,
      InvocationType: Type.Optional(wordOf(['RequestResponse', 'Event'], 'InvalidParameterValue.Param')),
      ClientContext: Type.Optional(Type.String()),
    },
    STRICT,
  ),
  (call, input) => {
    const payload = payloadOf(call, 'ClientContext', input.ClientContext, 'InvalidParameterValue.Param');
    return run(call, { ...input, Qualifier: input.Qualifier ?? '' }, payload, input.InvocationType === 'Event');
  },
  { maxBodyBytes: INVOKE_BODY_BYTES, codes: { functionName: 'InvalidParameter.FunctionName' } },
);

export const invokeFunction = action(
  Type.Object({ ...SHARED, Event: Type.Optional(Type.String()) }, STRICT),
  (call, input) => {
    const payload = payloadOf(call, 'Event', input.Event, 'InvalidParameterValue.ClientContext');
    return run(call, { ...input, Qualifier: input.Qualifier ?? '$DEFAULT' }, payload, false);
  },
  {
    maxBodyBytes: INVOKE_BODY_BYTES,
    codes: { functionName: 'InvalidParameter.FunctionName', PAYLOAD_NOT_JSON: 'InvalidParameterValue.ClientContext' },
  },
);

/** Runs a function. One that was created with AsyncRunEnable is never waited for: its calls are answered with an id at once. */
async function run(call: ScfCall, input: Shared & { readonly Qualifier: string }, payload: Buffer, asEvent: boolean): Promise<ScfAnswer> {
  checkRoutingKey(input.RoutingKey);
  const { gateway, caller } = call;
  const named = { namespace: namespaceOf(input), function: input.FunctionName, qualifier: input.Qualifier };
  const { fn } = await runnableFunction(gateway, named);
  if (asEvent || runsAsynchronously(fn)) {
    const submission = { payload, idempotencyKey: '', delay: undefined };
    const { event } = await createEvent(gateway, caller, { ...named, submission });
    // The id twice: the documents of asynchronous execution call it RequestId, those of the API FunctionRequestId.
    const id = event?.id ?? '';
    return { Result: { ...RESULT_OF_EVENT, FunctionRequestId: id }, RequestId: id };
  }
  try {
    return {
      Result: resultOf(
        await invokeAndWait(gateway, caller, { ...named, payload, queueTimeout: undefined, cancelOnDisconnect: false }),
        input.LogType === 'Tail',
      ),
    };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (error.reason === 'INSTANCE_QUOTA_EXHAUSTED')
      return { Result: throttledResult(fn, `instance quota of the namespace, ${error.metadata['limit'] ?? ''}`, call.requestId) };
    if (error.reason === 'CONCURRENCY_EXHAUSTED') return { Result: throttledResult(fn, 'region unreserved quota', call.requestId) };
    if (error.reason === 'RESERVED_EXHAUSTED')
      return { Result: throttledResult(fn, `reserved quota ${error.metadata['reserved_mb']} MB`, call.requestId) };
    throw error;
  }
}

/** The result of a call. A failure of the function is inside it: the call itself succeeded. */
function resultOf(answer: InvokeFunctionResponse, withLog: boolean) {
  const failed = answer.error.length > 0;
  const text = (failed ? answer.error : answer.result).toString('utf8');
  return {
    Log: withLog ? answer.logTail : '',
    RetMsg: text,
    ErrMsg: failed ? errorMessageOf(text) : '',
    MemUsage: Number(answer.memoryBytes),
    Duration: answer.durationMs,
    BillDuration: Number(answer.billedDurationMs),
    FunctionRequestId: answer.eventId,
    InvokeResult: failed ? answer.statusCode : 0,
  };
}

function throttledResult(fn: FunctionMessage, quota: string, requestId: string) {
  const message = `Function [ ${fn.name} ] concurrency exceeded ${quota}`;
  const error = { errorCode: -1, errorMessage: message, requestId, statusCode: THROTTLED };
  return { ...RESULT_OF_EVENT, RetMsg: JSON.stringify(error), ErrMsg: message, FunctionRequestId: requestId, InvokeResult: THROTTLED };
}

/** The sentence inside an error's JSON, or all of it. */
export function errorMessageOf(error: string): string {
  try {
    const parsed: unknown = JSON.parse(error);
    if (typeof parsed === 'object' && parsed !== null && 'errorMessage' in parsed && typeof parsed.errorMessage === 'string')
      return parsed.errorMessage;
  } catch {
    return error; // cut on its way: shown as it is
  }
  return error;
}

function payloadOf({ large }: ScfCall, name: string, text: string | undefined, code: ScfCode): Buffer {
  const halves = scfError(code, 'It has halves of characters in it.');
  if (large.has(name)) {
    const bytes = large.get(name);
    if (!bytes) throw halves;
    return bytes;
  }
  if (text !== undefined && !text.isWellFormed()) throw halves;
  return Buffer.from(text === undefined || text === '' ? NO_EVENT : text);
}

/** A key is checked, and has nothing to route between: a qualifier names one version here. */
function checkRoutingKey(text: string | undefined): void {
  if (text === undefined || text === '') return;
  const wrong = scfError(
    'InvalidParameterValue.Param',
    'A RoutingKey is a JSON object of one text, such as {"User":"1"}, of at most 1024 bytes.',
  );
  if (Buffer.byteLength(text) > MAX_ROUTING_KEY_BYTES) throw wrong;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw wrong;
  if (!Object.values(parsed).every((value) => typeof value === 'string')) throw wrong;
}
