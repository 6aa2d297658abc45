import { refuse, type Refusal } from '@evenfall/errors';
import { UNRESERVED_SHARE } from '@evenfall/function-model';

/** All that is reserved and provisioned, as of one moment. */
export type Concurrency = {
  readonly reservations: readonly Reservation[];
  readonly provisions: readonly Provision[];
};
export type Reservation = { readonly namespace: string; readonly name: string; readonly memoryMb: number };
export type Provision = {
  readonly namespace: string;
  readonly name: string;
  /** Number of the version. */
  readonly version: number;
  readonly instances: number;
  /** Megabytes of one instance. */
  readonly memoryMb: number;
};
export type Named = { readonly namespace: string; readonly name: string };

/** Megabytes a function could have reserved at most: what others have not, and what is provisioned for others does not need. */
export function reservableMb({ reservations, provisions }: Concurrency, named: Named, totalMb: number): number {
  const others = reservations.filter((one) => !isOf(one, named));
  const sharing = provisions.filter((one) => !isOf(one, named) && !others.some((other) => isOf(one, other)));
  const kept = Math.max(Math.ceil(totalMb * UNRESERVED_SHARE), sumOf(sharing.map(memoryOf)));
  return Math.max(0, totalMb - kept - sumOf(others.map(({ memoryMb }) => memoryMb)));
}

/** Why a function cannot have so much reserved; undefined if it can. `instanceMb` is what one instance of it takes. */
export function reservationRefusal(state: Concurrency, wanted: Reservation, instanceMb: number, totalMb: number): Refusal | undefined {
  const { memoryMb, name } = wanted;
  if (memoryMb > 0 && memoryMb < instanceMb)
    return refuse('INVALID_FIELD', { field: 'memory_mb', rule: `0, or at least the ${instanceMb} MB of one instance` });
  const availableMb = reservableMb(state, wanted, totalMb);
  if (memoryMb > availableMb)
    return refuse('RESERVED_EXCEEDS_TOTAL', { memory_mb: memoryMb, available_mb: availableMb, total_mb: totalMb });
  const provisionedMb = provisionedOf(state, wanted);
  if (memoryMb < provisionedMb)
    return refuse('PROVISIONED_EXCEEDS_RESERVED', { function: name, provisioned_mb: provisionedMb, reserved_mb: memoryMb });
  return undefined;
}

/** Megabytes a function could have provisioned beside what it has; negative if the total was lowered since. */
export function unallocatedMb(state: Concurrency, named: Named, totalMb: number): number {
  const reserved = state.reservations.find((one) => isOf(one, named));
  if (reserved) return reserved.memoryMb - provisionedOf(state, named);
  const reservedMb = sumOf(state.reservations.map(({ memoryMb }) => memoryMb));
  const sharing = state.provisions.filter((one) => !state.reservations.some((other) => isOf(one, other)));
  return totalMb - reservedMb - sumOf(sharing.map(memoryOf));
}

/** Why a version cannot have so many instances provisioned; undefined if it can. */
export function provisionRefusal(state: Concurrency, wanted: Provision, totalMb: number): Refusal | undefined {
  const { name, instances, memoryMb } = wanted;
  const others = state.provisions.filter((one) => !isOf(one, wanted) || one.version !== wanted.version);
  const roomMb = unallocatedMb({ ...state, provisions: others }, wanted, totalMb);
  if (instances * memoryMb <= roomMb) return undefined;
  const reserved = state.reservations.find((one) => isOf(one, wanted));
  if (!reserved)
    return refuse('PROVISIONED_EXCEEDS_TOTAL', { memory_mb: instances * memoryMb, available_mb: Math.max(0, roomMb), total_mb: totalMb });
  const provisionedMb = reserved.memoryMb - roomMb + instances * memoryMb;
  return refuse('PROVISIONED_EXCEEDS_RESERVED', { function: name, provisioned_mb: provisionedMb, reserved_mb: reserved.memoryMb });
}

function provisionedOf(state: Concurrency, named: Named): number {
  return sumOf(state.provisions.filter((one) => isOf(one, named)).map(memoryOf));
}

function memoryOf({ instances, memoryMb }: Provision): number {
  return instances * memoryMb;
}

function isOf(one: Named, named: Named): boolean {
  return one.namespace === named.namespace && one.name === named.name;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
