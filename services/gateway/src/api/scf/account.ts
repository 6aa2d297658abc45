import { Type } from '@sinclair/typebox';
import { getConcurrency } from '../../flows/get-concurrency.ts';
import { type Action, action, namespaceOf } from './action.ts';
import { scfError } from './codes.ts';
import { RETRY_LIMITS } from './event-invoke.ts';
import { readAll } from './function-lists.ts';
import { STRICT } from './parameters.ts';

const TRIGGERS = { Cos: 10, Timer: 10, Cmq: 10, Total: 110, Ckafka: 10, Apigw: 10, Cls: 10, Clb: 10, Mps: 10, Cm: 10, Vod: 10, Eb: 10 };

/** What an account uses and may use. Namespaces are names here, so only the default one is listed. */
export const getAccount = action(Type.Object({}, STRICT), async ({ gateway, functions }) => {
  const { totalMb, reservations, provisions } = await getConcurrency(gateway);
  const reservedMb = reservations.reduce((sum, { memoryMb }) => sum + memoryMb, 0);
  const provisionedMb = provisions.reduce((sum, { function: fn, instances }) => sum + instances * (fn?.memoryMb ?? 0), 0);
  const all = await readAll((pageToken) => functions.listFunctions({ namespace: 'default', pageSize: 100, pageToken, filter: '' }));
  return {
    AccountUsage: {
      NamespacesCount: 1,
      Namespace: [
        {
          Functions: all.map(({ name }) => name),
          Namespace: 'default',
          FunctionsCount: all.length,
          TotalConcurrencyMem: totalMb,
          TotalAllocatedConcurrencyMem: reservedMb,
          TotalAllocatedProvisionedMem: provisionedMb,
        },
      ],
      TotalConcurrencyMem: totalMb,
      TotalAllocatedConcurrencyMem: reservedMb,
      UserConcurrencyMemLimit: totalMb,
    },
    AccountLimit: {
      NamespacesCount: 5,
      Namespace: [
        {
          FunctionsCount: 50,
          Trigger: TRIGGERS,
          Namespace: 'default',
          ConcurrentExecutions: Math.floor(totalMb / 128),
          TimeoutLimit: 900,
          TestModelLimit: 20,
          InitTimeoutLimit: 300,
          RetryNumLimit: RETRY_LIMITS.maxRetries,
          MinMsgTTL: RETRY_LIMITS.minTtl,
          MaxMsgTTL: RETRY_LIMITS.maxTtl,
        },
      ],
    },
  };
});

/** An action about namespaces. There is nothing to create, change or list: a namespace exists when a function names it. */
function ofNamespaces(refused: (namespace: string) => Error): Action {
  return action(Type.Object({ Namespace: Type.Optional(Type.String()) }), (_call, input) => Promise.reject(refused(namespaceOf(input))));
}

const notObjects = (): Error =>
  scfError('UnsupportedOperation', 'A namespace is a name here: it is there with its first function and gone with its last.');

export const createNamespace = ofNamespaces(notObjects);
export const updateNamespace = ofNamespaces(notObjects);
export const listNamespaces = ofNamespaces(notObjects);
export const deleteNamespace = ofNamespaces((name) => (name === 'default' ? scfError('FailedOperation.DeleteNamespace') : notObjects()));
