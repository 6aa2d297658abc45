import { type ProvisionedConcurrency, ProvisionedConcurrency_State as State } from '@evenfall/contracts/v1/function_service';
import { Type } from '@sinclair/typebox';
import { action, namespaceOf } from './action.ts';
import { found } from './functions.ts';
import { OF_FUNCTION, STRICT, Unsupported, integerOf, wordOf } from './parameters.ts';
import type { ActionCodes } from './refusals.ts';
import { refuseUnsupported } from './unsupported.ts';

const OF_VERSION = { ...OF_FUNCTION, Qualifier: Type.String({ minLength: 1, 'x-code': 'InvalidParameterValue.Qualifier' }) };
/** What SCF moves the number by: on time, or with the load. */
const MOVING = ['TriggerActions', 'TrackingTarget', 'MinCapacity', 'MaxCapacity'] as const;
const CODES: ActionCodes = {
  QUALIFIER_NOT_FOUND: 'ResourceNotFound.FunctionVersion',
  RESERVED_EXCEEDS_TOTAL: 'LimitExceeded.FunctionReservedConcurrencyMemory',
  PROVISIONED_EXCEEDS_RESERVED: 'FailedOperation.ProvisionedExceedReserved',
  PROVISIONED_EXCEEDS_TOTAL: 'FailedOperation.ProvisionedExceedAvailable',
};

export const putReservedConcurrencyConfig = action(
  Type.Object({ ...OF_FUNCTION, ReservedConcurrencyMem: integerOf(0, 2_147_483_647, 'InvalidParameterValue') }, STRICT),
  async ({ functions }, input) => {
    const named = { namespace: namespaceOf(input), name: input.FunctionName };
    await functions.putReservedConcurrency({ ...named, memoryMb: input.ReservedConcurrencyMem });
    return {};
  },
  { codes: CODES },
);

export const getReservedConcurrencyConfig = action(Type.Object(OF_FUNCTION, STRICT), async ({ functions }, input) => {
  const { reservedConcurrency } = await functions.getReservedConcurrency({ namespace: namespaceOf(input), name: input.FunctionName });
  return { ReservedMem: reservedConcurrency?.memoryMb ?? null };
});

export const deleteReservedConcurrencyConfig = action(Type.Object(OF_FUNCTION, STRICT), async ({ functions }, input) => {
  await functions.deleteReservedConcurrency({ namespace: namespaceOf(input), name: input.FunctionName });
  return {};
});

export const putProvisionedConcurrencyConfig = action(
  Type.Object(
    {
      ...OF_VERSION,
      VersionProvisionedConcurrencyNum: integerOf(1, 10_000, 'LimitExceeded.FunctionTotalProvisionedConcurrencyNum'),
      ProvisionedType: Type.Optional(wordOf(['Default', 'ConcurrencyUtilizationTracking'], 'InvalidParameterValue.ProvisionType')),
      TriggerActions: Unsupported,
      TrackingTarget: Unsupported,
      MinCapacity: Unsupported,
      MaxCapacity: Unsupported,
    },
    STRICT,
  ),
  async ({ functions }, input) => {
    const { ProvisionedType: type, ...rest } = input;
    refuseUnsupported({ ...rest, ProvisionedType: type === 'Default' ? undefined : type }, [...MOVING, 'ProvisionedType']);
    await functions.putProvisionedConcurrency({
      namespace: namespaceOf(input),
      name: input.FunctionName,
      qualifier: input.Qualifier,
      instances: input.VersionProvisionedConcurrencyNum,
    });
    return {};
  },
  { codes: CODES },
);

export const getProvisionedConcurrencyConfig = action(
  Type.Object({ ...OF_FUNCTION, Qualifier: Type.Optional(Type.String()) }, STRICT),
  async (call, input) => {
    const { namespace, name, memoryMb } = await found(call, input, input.FunctionName, input.Qualifier);
    const qualifier = input.Qualifier ?? '';
    const { versions, unallocatedMb } = await call.functions.getProvisionedConcurrency({ namespace, name, qualifier });
    return {
      UnallocatedConcurrencyNum: Math.floor(unallocatedMb / memoryMb),
      Allocated: versions.filter(({ instances }) => instances > 0).map(allocated),
    };
  },
  { codes: CODES },
);

export const deleteProvisionedConcurrencyConfig = action(
  Type.Object(OF_VERSION, STRICT),
  async ({ functions }, input) => {
    const named = { namespace: namespaceOf(input), name: input.FunctionName };
    await functions.deleteProvisionedConcurrency({ ...named, qualifier: input.Qualifier });
    return {};
  },
  { codes: CODES },
);

const STATUS: Readonly<Record<number, string>> = { [State.READY]: 'Done', [State.IN_PROGRESS]: 'InProgress', [State.FAILED]: 'Failed' };

function allocated({ version, instances, availableInstances, state, reason }: ProvisionedConcurrency) {
  return {
    AllocatedProvisionedConcurrencyNum: instances,
    AvailableProvisionedConcurrencyNum: availableInstances,
    Status: STATUS[state] ?? 'InProgress',
    StatusReason: reason,
    Qualifier: version,
    TriggerActions: [],
  };
}
