import {
  type DeleteProvisionedConcurrencyRequest,
  type DeleteProvisionedConcurrencyResponse,
  type GetProvisionedConcurrencyRequest,
  type GetProvisionedConcurrencyResponse,
  ProvisionedConcurrency,
  type PutProvisionedConcurrencyRequest,
  type PutProvisionedConcurrencyResponse,
} from '@evenfall/contracts/v1/function_service';
import { invalidField } from '@evenfall/errors';
import { LATEST_NUMBER, MOST_PROVISIONED, versionName, versionNumberOf } from '@evenfall/function-model';
import { type Provision, provisionRefusal, unallocatedMb } from '../domain/concurrency.ts';
import type { Registry } from '../ports.ts';
import { changeConcurrency } from './change-concurrency.ts';
import { findFunction, type FunctionName } from './find-function.ts';

/** Has instances of a version kept ready. Refusals: those of `publishedVersion`, PROVISIONED_EXCEEDS_RESERVED, PROVISIONED_EXCEEDS_TOTAL. */
export async function putProvisionedConcurrency(
  registry: Registry,
  request: PutProvisionedConcurrencyRequest,
): Promise<PutProvisionedConcurrencyResponse> {
  const { instances } = request;
  if (instances < 1 || instances > MOST_PROVISIONED) throw invalidField('instances', `a whole number from 1 to ${MOST_PROVISIONED}`);
  let wanted: Provision | undefined;
  await changeConcurrency(registry, request, async (state) => {
    wanted = { ...(await publishedVersion(registry, request)), instances };
    const refusal = provisionRefusal(state, wanted, registry.concurrencyMb);
    if (refusal) throw refusal;
    return registry.concurrency.provision(state.change, wanted);
  });
  return { provisionedConcurrency: wanted && settingOf(wanted) };
}

/** Says what is provisioned; how much of it is there, only the scheduler knows. */
export async function getProvisionedConcurrency(
  registry: Registry,
  request: GetProvisionedConcurrencyRequest,
): Promise<GetProvisionedConcurrencyResponse> {
  const { namespace, name, qualifier } = request;
  const named = qualifier === '' ? undefined : await publishedVersion(registry, request);
  if (!named) await findFunction(registry, request);
  const state = await registry.concurrency.read();
  const own = state.provisions.filter((one) => one.namespace === namespace && one.name === name);
  const shown = named ? [own.find(({ version }) => version === named.version) ?? { ...named, instances: 0 }] : own;
  return {
    versions: shown.map(settingOf),
    unallocatedMb: Math.max(0, unallocatedMb(state, { namespace, name }, registry.concurrencyMb)),
  };
}

/** Has no instances of a version kept ready any more. */
export async function deleteProvisionedConcurrency(
  registry: Registry,
  request: DeleteProvisionedConcurrencyRequest,
): Promise<DeleteProvisionedConcurrencyResponse> {
  await changeConcurrency(registry, request, async ({ change }) => {
    const { version, namespace, name } = await publishedVersion(registry, request);
    return registry.concurrency.provision(change, { namespace, name, version, instances: 0 });
  });
  return {};
}

/** The version a qualifier names, if it is a published one. Refusals: FUNCTION_NOT_FOUND, QUALIFIER_NOT_FOUND, INVALID_FIELD. */
async function publishedVersion(registry: Registry, named: FunctionName): Promise<Omit<Provision, 'instances'>> {
  const { namespace, name, version, memoryMb } = await findFunction(registry, named);
  const number = versionNumberOf(version) ?? LATEST_NUMBER;
  if (number === LATEST_NUMBER)
    throw invalidField('qualifier', 'the number of a published version: "$LATEST" may change, and has nothing provisioned');
  return { namespace, name, version: number, memoryMb };
}

function settingOf({ version, instances }: Provision): ProvisionedConcurrency {
  return { ...ProvisionedConcurrency.create(), version: versionName(version), instances };
}
