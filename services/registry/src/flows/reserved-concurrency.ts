import type {
  DeleteReservedConcurrencyRequest,
  DeleteReservedConcurrencyResponse,
  GetReservedConcurrencyRequest,
  GetReservedConcurrencyResponse,
  PutReservedConcurrencyRequest,
  PutReservedConcurrencyResponse,
} from '@evenfall/contracts/v1/function_service';
import { invalidField } from '@evenfall/errors';
import { type Named, reservableMb, reservationRefusal } from '../domain/concurrency.ts';
import type { Registry } from '../ports.ts';
import { changeConcurrency } from './change-concurrency.ts';
import { findFunction } from './find-function.ts';

/** Reserves memory for a function. Refusals: FUNCTION_NOT_FOUND, INVALID_FIELD, RESERVED_EXCEEDS_TOTAL, PROVISIONED_EXCEEDS_RESERVED. */
export async function putReservedConcurrency(
  registry: Registry,
  { namespace, name, memoryMb }: PutReservedConcurrencyRequest,
): Promise<PutReservedConcurrencyResponse> {
  if (memoryMb === undefined || memoryMb < 0) throw invalidField('memory_mb', 'a number of megabytes, 0 or more');
  const wanted = { namespace, name, memoryMb };
  await changeConcurrency(registry, wanted, async (state) => {
    const latest = await findFunction(registry, { ...wanted, qualifier: '' });
    const refusal = reservationRefusal(state, wanted, latest.memoryMb, registry.concurrencyMb);
    if (refusal) throw refusal;
    return registry.concurrency.reserve(state.change, wanted);
  });
  return reservedAnswer(registry, wanted);
}

/** Says what is reserved for a function. */
export async function getReservedConcurrency(
  registry: Registry,
  named: GetReservedConcurrencyRequest,
): Promise<GetReservedConcurrencyResponse> {
  await findFunction(registry, { ...named, qualifier: '' });
  return reservedAnswer(registry, named);
}

/** Lets a function share with all others. What it has provisioned fits: what was reserved held it. */
export async function deleteReservedConcurrency(
  registry: Registry,
  named: DeleteReservedConcurrencyRequest,
): Promise<DeleteReservedConcurrencyResponse> {
  await findFunction(registry, { ...named, qualifier: '' });
  await changeConcurrency(registry, named, ({ change }) => registry.concurrency.release(change, named));
  return {};
}

async function reservedAnswer(registry: Registry, { namespace, name }: Named): Promise<GetReservedConcurrencyResponse> {
  const state = await registry.concurrency.read();
  const found = state.reservations.find((one) => one.namespace === namespace && one.name === name);
  const totalMb = registry.concurrencyMb;
  return { reservedConcurrency: { memoryMb: found?.memoryMb, totalMb, availableMb: reservableMb(state, { namespace, name }, totalMb) } };
}
