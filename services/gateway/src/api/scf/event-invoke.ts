import { EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import { durationOfMs } from '@evenfall/time';
import { Type } from '@sinclair/typebox';
import { action } from './action.ts';
import { scfError } from './codes.ts';
import { secondsOf } from './function-names.ts';
import { found } from './functions.ts';
import { OF_FUNCTION, STRICT } from './parameters.ts';

const CONFIG = 'InvalidParameterValue.AsyncTriggerConfig';
/** SCF's limits (GetAccount): retries of user errors, and seconds an event may wait. */
export const RETRY_LIMITS = { maxRetries: 2, minTtl: 60, maxTtl: 21_600 } as const;
/** The second number of RetryConfig: failures of the platform are retried until the event is too old. */
const UNTIL_TOO_OLD = -1;

const AsyncTriggerConfig = Type.Object(
  {
    RetryConfig: Type.Array(Type.Object({ RetryNum: Type.Integer() }, STRICT), { minItems: 1, maxItems: 2, 'x-code': CONFIG }),
    MsgTTL: Type.Integer(),
  },
  STRICT,
);

export const getFunctionEventInvokeConfig = action(
  Type.Object({ ...OF_FUNCTION, Qualifier: Type.Optional(Type.String()) }, STRICT),
  async (call, input) => {
    const { eventInvoke } = await found(call, input, input.FunctionName, input.Qualifier);
    return {
      AsyncTriggerConfig: {
        RetryConfig: [{ RetryNum: eventInvoke?.maxRetries ?? RETRY_LIMITS.maxRetries }, { RetryNum: UNTIL_TOO_OLD }],
        MsgTTL: eventInvoke?.maxEventAge ? secondsOf(eventInvoke.maxEventAge) : RETRY_LIMITS.maxTtl,
      },
    };
  },
  { codes: { QUALIFIER_NOT_FOUND: 'ResourceNotFound.FunctionVersion' } },
);

export const updateFunctionEventInvokeConfig = action(Type.Object({ ...OF_FUNCTION, AsyncTriggerConfig }, STRICT), async (call, input) => {
  const { RetryConfig: retries, MsgTTL: ttl } = input.AsyncTriggerConfig;
  const maxRetries = retries[0]?.RetryNum ?? 0;
  if (maxRetries < 0 || maxRetries > RETRY_LIMITS.maxRetries) throw scfError('LimitExceeded.RetryNum', 'It is 0 to 2.');
  if (retries[1] && retries[1].RetryNum !== UNTIL_TOO_OLD) throw scfError(CONFIG, 'A second RetryNum is -1.');
  if (ttl < RETRY_LIMITS.minTtl || ttl > RETRY_LIMITS.maxTtl) throw scfError('LimitExceeded.MsgTTL', 'It is 60 to 21600 seconds.');
  const { namespace, name, eventInvoke } = await found(call, input, input.FunctionName);
  await call.functions.updateFunction({
    function: {
      ...FunctionMessage.create(),
      namespace,
      name,
      // What SCF has no field for stays: the interval, and the destinations with their secrets.
      eventInvoke: { ...EventInvokeConfig.create(), ...eventInvoke, maxRetries, maxEventAge: durationOfMs(ttl * 1_000) },
    },
    updateMask: ['event_invoke'],
  });
  return {};
});
