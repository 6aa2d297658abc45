import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import type { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import type { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { Service } from '@evenfall/peer-identity';
import type { CallHead } from '@evenfall/rpc';

/** Who may call: services, and agents, each of which has an identity of its own. */
export type Caller = Service | 'agent';

type Rights<S> = { readonly [M in keyof S]: readonly Caller[] };

const GATEWAY = ['gateway'] as const;
const QUEUE = ['queue'] as const;
const AGENT = ['agent'] as const;

const REGISTRY: Rights<RegistryServiceService> = {
  resolveFunction: ['gateway', 'queue', 'scheduler'],
  getCodePackage: AGENT,
  watchFunctions: ['gateway', 'scheduler'],
  getConcurrency: ['gateway', 'scheduler'],
  watchAccessKeys: GATEWAY,
  openWebhookSecret: QUEUE,
  getGrantKeys: ['scheduler', 'event-store'],
  createAgentToken: GATEWAY,
  listAgentTokens: GATEWAY,
  revokeAgentToken: GATEWAY,
  renewCertificate: AGENT,
  watchQuotas: GATEWAY,
  recordAudit: ['gateway', 'event-store'],
  listAudit: GATEWAY,
};

const SCHEDULER: Rights<SchedulerServiceService> = {
  dispatch: QUEUE,
  invoke: GATEWAY,
  attach: AGENT,
  renewLease: AGENT,
  listAgents: GATEWAY,
  listInstances: GATEWAY,
  getProvisioned: GATEWAY,
  drainAgent: GATEWAY,
  noteFunctionChange: GATEWAY,
};

const QUEUE_SERVICE: Rights<QueueServiceService> = {
  acceptEvents: GATEWAY,
  terminateEvent: GATEWAY,
  purgeDeadLetter: GATEWAY,
  watchOwnership: GATEWAY,
  countWaiting: GATEWAY,
  getHealth: GATEWAY,
};

const EVENT_STORE: Rights<EventStoreServiceService> = {
  getEvent: ['gateway', 'queue'],
  getRequestDigests: GATEWAY,
  listEvents: GATEWAY,
  listEventsByOffset: GATEWAY,
  countEvents: GATEWAY,
  purge: GATEWAY,
  watchEvent: GATEWAY,
  listLogLines: GATEWAY,
  tailLogLines: GATEWAY,
  appendLogLines: AGENT,
  listDeadLetters: GATEWAY,
  getDeadLetter: GATEWAY,
  getSnapshot: QUEUE,
  listQueuedEvents: QUEUE,
  listPendingDeliveries: QUEUE,
  listPutAsideRecords: GATEWAY,
  getHealth: GATEWAY,
};

/** Functions are managed by the public API alone. */
const FUNCTIONS: Rights<Pick<FunctionServiceService, keyof FunctionServiceService>> = {
  createFunction: GATEWAY,
  getFunction: GATEWAY,
  listFunctions: GATEWAY,
  updateFunction: GATEWAY,
  updateFunctionCode: GATEWAY,
  streamUpdateFunctionCode: GATEWAY,
  deleteFunction: GATEWAY,
  publishFunctionVersion: GATEWAY,
  listFunctionVersions: GATEWAY,
  putReservedConcurrency: GATEWAY,
  getReservedConcurrency: GATEWAY,
  deleteReservedConcurrency: GATEWAY,
  putProvisionedConcurrency: GATEWAY,
  getProvisionedConcurrency: GATEWAY,
  deleteProvisionedConcurrency: GATEWAY,
};

/** Keys are managed by the public API alone, which checks the rights. */
const ACCESS_KEYS: Rights<Pick<AccessKeyServiceService, keyof AccessKeyServiceService>> = {
  createAccessKey: GATEWAY,
  getAccessKey: GATEWAY,
  listAccessKeys: GATEWAY,
  rotateAccessKey: GATEWAY,
  revokeAccessKey: GATEWAY,
};

/** So are quotas. */
const QUOTAS: Rights<Pick<QuotaServiceService, keyof QuotaServiceService>> = {
  putNamespaceQuota: GATEWAY,
  getNamespaceQuota: GATEWAY,
  listNamespaceQuotas: GATEWAY,
  deleteNamespaceQuota: GATEWAY,
  putKeyQuota: GATEWAY,
  getKeyQuota: GATEWAY,
  listKeyQuotas: GATEWAY,
  deleteKeyQuota: GATEWAY,
};

const BY_SERVICE: Readonly<Record<string, Readonly<Record<string, readonly Caller[]>>>> = {
  'evenfall.registry.v1.RegistryService': REGISTRY,
  'evenfall.scheduler.v1.SchedulerService': SCHEDULER,
  'evenfall.queue.v1.QueueService': QUEUE_SERVICE,
  'evenfall.event_store.v1.EventStoreService': EVENT_STORE,
  'evenfall.v1.FunctionService': FUNCTIONS,
  'evenfall.v1.AccessKeyService': ACCESS_KEYS,
  'evenfall.v1.QuotaService': QUOTAS,
};

/** Callers that may call the method at "/package.Service/Method"; none if it is in no table. */
export function callersOf(path: string): readonly Caller[] {
  const [, service = '', method = ''] = path.split('/');
  const rights = Object.hasOwn(BY_SERVICE, service) ? BY_SERVICE[service] : undefined;
  const name = method.charAt(0).toLowerCase() + method.slice(1);
  return (rights && Object.hasOwn(rights, name) && rights[name]) || [];
}

/** Every caller that may call something of a service. Keys and functions are managed by the registry. */
export function callersOfServer(server: Service): readonly Caller[] {
  const tables = Object.entries(BY_SERVICE).filter(([grpcService]) => {
    const [, own] = /^evenfall\.(\w+)\.v1\./.exec(grpcService) ?? [];
    return (own?.replace('_', '-') ?? 'registry') === server;
  });
  return [...new Set(tables.flatMap(([, rights]) => Object.values(rights).flat()))].sort();
}

/** Turns away callers who may not call a method, by the identity of their certificates. */
export function checkCaller({ caller, path }: Pick<CallHead, 'caller' | 'path'>): void {
  if (caller === undefined) throw refuse('UNAUTHENTICATED', { detail: 'this port is for services that have a certificate' });
  const kind = caller.startsWith('agent/') ? 'agent' : caller;
  // "agent" without an id is not an identity.
  if (caller === 'agent' || !callersOf(path).some((allowed) => allowed === kind))
    throw refuse('CALLER_NOT_ALLOWED', { caller, method: path });
}
