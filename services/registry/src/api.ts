import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import type { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { ACCESS_KEY_HEADER, keyIdOf } from '@evenfall/access';
import { refuse } from '@evenfall/errors';
import { checkAgent, type GrantChecker } from '@evenfall/grants';
import { agentIdOf } from '@evenfall/peer-identity';
import { CALLER_HEADER, type CallContext, type Implementation } from '@evenfall/rpc';
import type { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { withoutSecrets } from './domain/destinations.ts';
import { withSealedWebhooks } from './domain/function-secrets.ts';
import { deleteProvisionedConcurrency, getProvisionedConcurrency, putProvisionedConcurrency } from './flows/provisioned-concurrency.ts';
import { deleteReservedConcurrency, getReservedConcurrency, putReservedConcurrency } from './flows/reserved-concurrency.ts';
import { getConcurrency } from './flows/get-concurrency.ts';
import { createAccessKey, getAccessKey, listAccessKeys, revokeAccessKey, rotateAccessKey, watchAccessKeys } from './flows/access-keys.ts';
import { createAgentToken, listAgentTokens, renewCertificate, revokeAgentToken } from './flows/agent-tokens.ts';
import { listAudit, recordAudit } from './flows/audit.ts';
import { createFunction } from './flows/create-function.ts';
import { deleteFunction } from './flows/delete-function.ts';
import { findFunction, findWithSecrets } from './flows/find-function.ts';
import { getCodePackage } from './flows/get-code-package.ts';
import { getGrantKeys } from './flows/grant-keys.ts';
import { listFunctions, listFunctionVersions } from './flows/list-functions.ts';
import { publishFunctionVersion } from './flows/publish-function-version.ts';
import { openWebhookSecret } from './flows/seal-functions.ts';
import {
  deleteKeyQuota,
  deleteNamespaceQuota,
  getKeyQuota,
  getNamespaceQuota,
  listKeyQuotas,
  listNamespaceQuotas,
  putKeyQuota,
  putNamespaceQuota,
  watchQuotas,
} from './flows/quotas.ts';
import { updateFunction } from './flows/update-function.ts';
import { streamUpdateFunctionCode } from './flows/stream-update-function-code.ts';
import { updateFunctionCode } from './flows/update-function-code.ts';
import type { JoinRegistry, KeyRegistry, QuotaRegistry, Registry } from './ports.ts';

type OneAnswer = { readonly function: FunctionMessage | undefined };
type PageAnswer = { readonly functions: FunctionMessage[]; readonly nextPageToken: string };

const one = async (answer: Promise<OneAnswer>): Promise<OneAnswer> => {
  const { function: fn } = await answer;
  return { function: fn && withoutSecrets(fn) };
};
const page = async (answer: Promise<PageAnswer>): Promise<PageAnswer> => {
  const { functions, nextPageToken } = await answer;
  return { functions: functions.map(withoutSecrets), nextPageToken };
};

/** The public operations, called by the gateway, which sends the id of the caller's access key along. No answer has secrets in it. */
export function functionService(registry: Registry): Implementation<typeof FunctionServiceService> {
  const keyOf = ({ header }: CallContext): string => keyIdOf(header(ACCESS_KEY_HEADER));
  return {
    createFunction: (request, context) => one(createFunction(registry, request, keyOf(context))),
    getFunction: (request) => one(findFunction(registry, request).then((fn) => ({ function: fn }))),
    listFunctions: (request) => page(listFunctions(registry, request)),
    updateFunction: (request) => one(updateFunction(registry, request)),
    updateFunctionCode: (request, context) => one(updateFunctionCode(registry, request, keyOf(context))),
    streamUpdateFunctionCode: (requests, context) => one(streamUpdateFunctionCode(registry, requests, keyOf(context))),
    deleteFunction: (request) => deleteFunction(registry, request),
    publishFunctionVersion: (request, context) => one(publishFunctionVersion(registry, request, keyOf(context))),
    listFunctionVersions: (request) => page(listFunctionVersions(registry, request)),
    putReservedConcurrency: (request) => putReservedConcurrency(registry, request),
    getReservedConcurrency: (request) => getReservedConcurrency(registry, request),
    deleteReservedConcurrency: (request) => deleteReservedConcurrency(registry, request),
    putProvisionedConcurrency: (request) => putProvisionedConcurrency(registry, request),
    getProvisionedConcurrency: (request) => getProvisionedConcurrency(registry, request),
    deleteProvisionedConcurrency: (request) => deleteProvisionedConcurrency(registry, request),
  };
}

/** What the other services ask: with the secrets, those of webhooks sealed, since they go along with the events. */
export function registryService(
  registry: Registry & KeyRegistry & JoinRegistry & QuotaRegistry & { readonly packageGrants: GrantChecker },
): Implementation<typeof RegistryServiceService> {
  return {
    resolveFunction: async (request) => ({ function: withSealedWebhooks(await findWithSecrets(registry, request), registry.sealing) }),
    openWebhookSecret: async (request) => openWebhookSecret(registry.sealing, request),
    getCodePackage(request, { header }) {
      checkAgent(header(CALLER_HEADER), request.agentId, 'registry');
      return getCodePackage(registry, request);
    },
    getConcurrency: () => getConcurrency(registry),
    watchFunctions: (_request, { signal }) => registry.feed.watch(signal),
    watchAccessKeys: (_request, { signal }) => watchAccessKeys(registry, signal),
    getGrantKeys: () => getGrantKeys(registry),
    createAgentToken: (request) => createAgentToken(registry, request),
    listAgentTokens: (request) => listAgentTokens(registry, request),
    revokeAgentToken: async ({ id }) => ({ agentToken: await revokeAgentToken(registry, id) }),
    renewCertificate(request, { header }) {
      const agentId = agentIdOf(header(CALLER_HEADER));
      if (agentId === undefined) throw refuse('UNAUTHENTICATED', { detail: 'certificates are renewed for agents that have one' });
      return renewCertificate(registry, agentId, request.signingRequest);
    },
    watchQuotas: (_request, { signal }) => watchQuotas(registry, signal),
    recordAudit: (request) => recordAudit(registry, request),
    listAudit: (request) => listAudit(registry, request),
  };
}

/** What is done with access keys, through the gateway: it judges who may. */
export function accessKeyService(registry: KeyRegistry): Implementation<typeof AccessKeyServiceService> {
  return {
    createAccessKey: (request) => createAccessKey(registry, request),
    getAccessKey: async ({ id }) => ({ accessKey: await getAccessKey(registry, id) }),
    listAccessKeys: (request) => listAccessKeys(registry, request),
    rotateAccessKey: (request) => rotateAccessKey(registry, request),
    revokeAccessKey: async ({ id }) => ({ accessKey: await revokeAccessKey(registry, id) }),
  };
}

/** What is done with quotas, in the same way. */
export function quotaService(registry: QuotaRegistry): Implementation<typeof QuotaServiceService> {
  return {
    putNamespaceQuota: async (request) => ({ namespaceQuota: await putNamespaceQuota(registry, request.namespaceQuota) }),
    getNamespaceQuota: ({ namespace }) => getNamespaceQuota(registry, namespace),
    listNamespaceQuotas: (request) => listNamespaceQuotas(registry, request),
    deleteNamespaceQuota: ({ namespace }) => deleteNamespaceQuota(registry, namespace),
    putKeyQuota: async (request) => ({ keyQuota: await putKeyQuota(registry, request.keyQuota) }),
    getKeyQuota: ({ keyId }) => getKeyQuota(registry, keyId),
    listKeyQuotas: (request) => listKeyQuotas(registry, request),
    deleteKeyQuota: ({ keyId }) => deleteKeyQuota(registry, keyId),
  };
}
