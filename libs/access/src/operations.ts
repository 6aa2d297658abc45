import type { Action } from './actions.ts';

/** One operation of the REST API. */
export type OperationRule = {
  readonly action: Action;
  /** Parameter of the path that names what it is about, for the audit log. */
  readonly about?: 'function' | 'event_id' | 'agent_id' | 'key_id' | 'token_id';
};

const op = (action: Action, about?: OperationRule['about']): OperationRule => (about ? { action, about } : { action });

/** The action of every operation of the OpenAPI document. The namespace is that of the path; what has none there is judged where it is found. */
export const OPERATIONS = {
  createFunction: op('functions.write', 'function'),
  listFunctions: op('functions.read'),
  getFunction: op('functions.read'),
  updateFunction: op('functions.write', 'function'),
  deleteFunction: op('functions.write', 'function'),
  updateFunctionCode: op('functions.write', 'function'),
  putEventInvokeConfig: op('functions.write', 'function'),
  getEventInvokeConfig: op('functions.read'),
  publishFunctionVersion: op('functions.write', 'function'),
  listFunctionVersions: op('functions.read'),
  putReservedConcurrency: op('concurrency.write', 'function'),
  getReservedConcurrency: op('functions.read'),
  deleteReservedConcurrency: op('concurrency.write', 'function'),
  putProvisionedConcurrency: op('concurrency.write', 'function'),
  getProvisionedConcurrency: op('functions.read'),
  deleteProvisionedConcurrency: op('concurrency.write', 'function'),
  createEvent: op('events.create'),
  batchCreateEvents: op('events.create'),
  listEvents: op('events.read'),
  countFunctionEvents: op('events.read'),
  countEvents: op('events.read'),
  getEvent: op('events.read'),
  watchEvent: op('events.read'),
  terminateEvent: op('events.terminate', 'event_id'),
  listLogLines: op('logs.read'),
  listDeadLetters: op('dead_letters.read'),
  getDeadLetter: op('dead_letters.read'),
  redriveDeadLetter: op('dead_letters.redrive', 'event_id'),
  purgeDeadLetter: op('dead_letters.purge', 'event_id'),
  invokeFunction: op('functions.invoke'),
  listAgents: op('platform.read'),
  drainAgent: op('platform.operate', 'agent_id'),
  listInstances: op('instances.read'),
  listPutAsideRecords: op('platform.read'),
  purge: op('platform.operate'),
  createAccessKey: op('keys.manage', 'key_id'),
  listAccessKeys: op('keys.read'),
  getAccessKey: op('keys.read'),
  rotateAccessKey: op('keys.manage', 'key_id'),
  revokeAccessKey: op('keys.manage', 'key_id'),
  createAgentToken: op('agent_tokens.manage'),
  listAgentTokens: op('agent_tokens.read'),
  revokeAgentToken: op('agent_tokens.manage', 'token_id'),
  putNamespaceQuota: op('quotas.manage'),
  getNamespaceQuota: op('quotas.read'),
  deleteNamespaceQuota: op('quotas.manage'),
  listNamespaceQuotas: op('quotas.read'),
  putKeyQuota: op('quotas.manage', 'key_id'),
  getKeyQuota: op('platform.read'),
  deleteKeyQuota: op('quotas.manage', 'key_id'),
  listKeyQuotas: op('platform.read'),
  listAuditRecords: op('audit.read'),
} as const satisfies Readonly<Record<string, OperationRule>>;

export type Operation = keyof typeof OPERATIONS;

/** One method over gRPC. */
export type RpcRule = {
  readonly action: Action;
  /** Where its request names the namespace: a path of fields as they are in TypeScript. Without, it is judged where it is found. */
  readonly namespace?: string;
  /** The same for what it is about, for the audit log. */
  readonly about?: string;
};

const NS = 'namespace';
const rpc = (action: Action, namespace?: string, about?: string): RpcRule => ({
  action,
  ...(namespace === undefined ? {} : { namespace }),
  ...(about === undefined ? {} : { about }),
});

/** The action of every public method, by "Service/Method". */
export const RPCS: Readonly<Record<string, RpcRule>> = {
  'FunctionService/CreateFunction': rpc('functions.write', 'function.namespace', 'function.name'),
  'FunctionService/GetFunction': rpc('functions.read', NS),
  'FunctionService/ListFunctions': rpc('functions.read', NS),
  'FunctionService/UpdateFunction': rpc('functions.write', 'function.namespace', 'function.name'),
  'FunctionService/UpdateFunctionCode': rpc('functions.write', NS, 'name'),
  'FunctionService/StreamUpdateFunctionCode': rpc('functions.write', NS, 'name'),
  'FunctionService/DeleteFunction': rpc('functions.write', NS, 'name'),
  'FunctionService/PublishFunctionVersion': rpc('functions.write', NS, 'name'),
  'FunctionService/ListFunctionVersions': rpc('functions.read', NS),
  'FunctionService/PutReservedConcurrency': rpc('concurrency.write', NS, 'name'),
  'FunctionService/GetReservedConcurrency': rpc('functions.read', NS),
  'FunctionService/DeleteReservedConcurrency': rpc('concurrency.write', NS, 'name'),
  'FunctionService/PutProvisionedConcurrency': rpc('concurrency.write', NS, 'name'),
  'FunctionService/GetProvisionedConcurrency': rpc('functions.read', NS),
  'FunctionService/DeleteProvisionedConcurrency': rpc('concurrency.write', NS, 'name'),
  'EventService/CreateEvent': rpc('events.create', NS),
  'EventService/BatchCreateEvents': rpc('events.create', NS),
  'EventService/StreamCreateEvents': rpc('events.create', 'batch.namespace'),
  'EventService/GetEvent': rpc('events.read'),
  'EventService/ListEvents': rpc('events.read', NS),
  'EventService/CountEvents': rpc('events.read', NS),
  'EventService/WatchEvent': rpc('events.read'),
  'EventService/TerminateEvent': rpc('events.terminate', undefined, 'id'),
  'EventService/ListDeadLetters': rpc('dead_letters.read', NS),
  'EventService/GetDeadLetter': rpc('dead_letters.read'),
  'EventService/RedriveDeadLetter': rpc('dead_letters.redrive', undefined, 'id'),
  'EventService/PurgeDeadLetter': rpc('dead_letters.purge', undefined, 'id'),
  'InvocationService/InvokeFunction': rpc('functions.invoke', NS),
  'InvocationService/StreamInvokeFunction': rpc('functions.invoke', 'invocation.namespace'),
  'LogService/ListLogLines': rpc('logs.read'),
  'LogService/TailLogLines': rpc('logs.read'),
  'OperatorService/ListAgents': rpc('platform.read'),
  'OperatorService/ListInstances': rpc('instances.read'),
  'OperatorService/DrainAgent': rpc('platform.operate', undefined, 'agentId'),
  'OperatorService/Purge': rpc('platform.operate'),
  'OperatorService/ListPutAsideRecords': rpc('platform.read'),
  'OperatorService/CreateAgentToken': rpc('agent_tokens.manage', undefined, 'agentId'),
  'OperatorService/ListAgentTokens': rpc('agent_tokens.read'),
  'OperatorService/RevokeAgentToken': rpc('agent_tokens.manage', undefined, 'id'),
  'AccessKeyService/CreateAccessKey': rpc('keys.manage', undefined, 'id'),
  'AccessKeyService/GetAccessKey': rpc('keys.read'),
  'AccessKeyService/ListAccessKeys': rpc('keys.read'),
  'AccessKeyService/RotateAccessKey': rpc('keys.manage', undefined, 'id'),
  'AccessKeyService/RevokeAccessKey': rpc('keys.manage', undefined, 'id'),
  'QuotaService/PutNamespaceQuota': rpc('quotas.manage', 'namespaceQuota.namespace'),
  'QuotaService/GetNamespaceQuota': rpc('quotas.read', NS),
  'QuotaService/ListNamespaceQuotas': rpc('quotas.read'),
  'QuotaService/DeleteNamespaceQuota': rpc('quotas.manage', NS),
  'QuotaService/PutKeyQuota': rpc('quotas.manage', undefined, 'keyQuota.keyId'),
  'QuotaService/GetKeyQuota': rpc('platform.read'),
  'QuotaService/ListKeyQuotas': rpc('platform.read'),
  'QuotaService/DeleteKeyQuota': rpc('quotas.manage', undefined, 'keyId'),
  'AuditService/ListAuditRecords': rpc('audit.read'),
};

/** One action of the SCF-compatible API. */
export type ScfRule = {
  readonly action: Action;
  /** Where the namespace is: in its parameter, in the event that is named, or it is the default one. */
  readonly namespace: 'parameter' | 'event' | 'default';
};

const scf = (action: Action, namespace: ScfRule['namespace'] = 'parameter'): ScfRule => ({ action, namespace });

/** The action of every action of SCF. */
export const SCF_ACTIONS: Readonly<Record<string, ScfRule>> = {
  CreateFunction: scf('functions.write'),
  CreateNamespace: scf('functions.write'),
  DeleteFunction: scf('functions.write'),
  DeleteNamespace: scf('functions.write'),
  DeleteProvisionedConcurrencyConfig: scf('concurrency.write'),
  DeleteReservedConcurrencyConfig: scf('concurrency.write'),
  GetAccount: scf('functions.read', 'default'),
  GetAsyncEventStatus: scf('events.read', 'event'),
  GetFunction: scf('functions.read'),
  GetFunctionEventInvokeConfig: scf('functions.read'),
  GetFunctionLogs: scf('logs.read'),
  GetProvisionedConcurrencyConfig: scf('functions.read'),
  GetRequestStatus: scf('events.read'),
  GetReservedConcurrencyConfig: scf('functions.read'),
  Invoke: scf('functions.invoke'),
  InvokeFunction: scf('functions.invoke'),
  ListAsyncEvents: scf('events.read'),
  ListFunctions: scf('functions.read'),
  ListNamespaces: scf('functions.read', 'default'),
  ListVersionByFunction: scf('functions.read'),
  PublishVersion: scf('functions.write'),
  PutProvisionedConcurrencyConfig: scf('concurrency.write'),
  PutReservedConcurrencyConfig: scf('concurrency.write'),
  TerminateAsyncEvent: scf('events.terminate'),
  UpdateFunctionCode: scf('functions.write'),
  UpdateFunctionConfiguration: scf('functions.write'),
  UpdateFunctionEventInvokeConfig: scf('functions.write'),
  UpdateNamespace: scf('functions.write'),
};
