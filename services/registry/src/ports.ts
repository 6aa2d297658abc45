import type { ByteBudget } from '@evenfall/api-limits';
import type { AccessKey } from '@evenfall/contracts/v1/access_key_service';
import type { AuditRecord, ListAuditRecordsRequest } from '@evenfall/contracts/v1/audit_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { AgentToken } from '@evenfall/contracts/v1/operator_service';
import type { Authority } from '@evenfall/certificates';
import type { KeyQuota, KeyUsage, NamespaceQuota, NamespaceUsage } from '@evenfall/contracts/v1/quota_service';
import type { Log } from '@evenfall/telemetry';
import type { Clock } from '@evenfall/time';
import type { PackageFiles } from './domain/code-package.ts';
import type { Concurrency, Named, Provision, Reservation } from './domain/concurrency.ts';
import type { DestinationRules, PackageLimits } from '@evenfall/function-model';
import type { StoredFunction, OpenedFunction } from './domain/function-secrets.ts';
import type { GrantKeyRow } from './domain/grant-key.ts';
import type { Sealing } from './domain/sealing.ts';

/** A code package and its digest. */
export type CodePackage = { readonly sha256: string; readonly data: Buffer };
/** What is in one, beside. */
export type InspectedPackage = CodePackage & PackageFiles;

/**
 * Where functions are kept. Every change happens as a whole or not at all. What adds something counts for the access key of `keyId`, where that is not empty,
 * and refuses with QUOTA_EXCEEDED.
 */
export type FunctionStore = {
  /** Functions of all namespaces, without their versions. */
  count(): Promise<number>;
  /** One version, locked if its secrets cannot be opened; `latest` distinguishes a missing version from a missing function. */
  find(
    namespace: string,
    name: string,
    version: number,
  ): Promise<{ readonly found: FunctionMessage | undefined; readonly isLocked: boolean; readonly exists: boolean }>;
  list(namespace: string, filter: string, after: string, limit: number): Promise<FunctionMessage[]>;
  /** Published versions with a number below `before`, newest first. */
  listVersions(namespace: string, name: string, before: number, limit: number): Promise<FunctionMessage[]>;
  /** Adds `$LATEST`; undefined if there is one. */
  insert(fn: FunctionMessage, code: CodePackage | undefined, keyId: string): Promise<FunctionMessage | undefined>;
  /** Replaces `$LATEST` if it is still of that revision; undefined if not. The key is looked at with code only. */
  replace(fn: FunctionMessage, code: CodePackage | undefined, keyId: string): Promise<FunctionMessage | undefined>;
  /** Adds `$LATEST` as the next version if it is still of that revision; undefined if not. */
  publish(fn: FunctionMessage, keyId: string): Promise<FunctionMessage | undefined>;
  /** Deletes all versions; whether there were any. */
  delete(namespace: string, name: string): Promise<boolean>;
  /** A piece of a package, from 0; undefined if there is no such package. */
  readCode(sha256: string, offset: number, bytes: number): Promise<Buffer | undefined>;
};

/** A row as it is kept. */
export type SecretRow = {
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  readonly revision: number;
  readonly kept: StoredFunction;
};

/** What is kept of functions, as it is kept. */
export type FunctionSecretStore = {
  /** In order, behind a row. */
  list(after: Pick<SecretRow, 'namespace' | 'name' | 'version'> | undefined, limit: number): Promise<SecretRow[]>;
  /** Replaces what is kept, if it is as it was; whether it was. What the function is does not change. */
  replace(row: SecretRow, by: StoredFunction): Promise<boolean>;
};

/** What is reserved and provisioned, with the number of the change that made it so. */
export type ConcurrencyState = Omit<Concurrency, 'provisions'> & {
  readonly change: bigint;
  readonly provisions: readonly (Provision & OpenedFunction)[];
};

/** Where it is kept. A write happens if nothing has changed since the state it was decided on, and if its version is there; else it answers false. */
export type ConcurrencyStore = {
  read(): Promise<ConcurrencyState>;
  reserve(since: bigint, reservation: Reservation): Promise<boolean>;
  release(since: bigint, named: Named): Promise<boolean>;
  /** With 0 instances: none any more. */
  provision(since: bigint, version: Named & { readonly version: number; readonly instances: number }): Promise<boolean>;
};

/** Notifies watchers of changed functions, whichever registry changed them. */
export type ChangeFeed = {
  /** Changes from now on; ends when some may have been missed. */
  watch(signal: AbortSignal): AsyncIterable<{ readonly namespace: string; readonly name: string }>;
  /** Notifies watchers of this process at once; those of others are notified through the database. */
  announce(namespace: string, name: string): void;
};

/** A key as it is kept. `change` is the number of its last change. */
export type AccessKeyRow = {
  readonly key: AccessKey;
  readonly change: number;
  readonly secretSha256: Buffer;
  readonly sealed: Buffer | undefined;
  readonly previousSha256: Buffer | undefined;
  readonly previousSealed: Buffer | undefined;
};

/** Where access keys are kept. */
export type AccessKeyStore = {
  find(id: string): Promise<AccessKeyRow | undefined>;
  /** By id. */
  list(after: string, limit: number): Promise<AccessKeyRow[]>;
  /** Adds a key, unless there is one of its id or as many as there may be. */
  insert(row: AccessKeyRow, most: number): Promise<'made' | 'exists' | 'full'>;
  /** Replaces a key if it is still of that change; whether it was. */
  replace(row: AccessKeyRow): Promise<boolean>;
  /** Deletes keys that stopped being good before a time; how many. */
  sweep(before: Date): Promise<number>;
};

/** Where the tokens of agents are kept. */
export type AgentTokenStore = {
  /** Adds a token, unless there are as many as there may be; whether it did. */
  insert(token: AgentToken, secretSha256: Buffer, most: number): Promise<boolean>;
  /** Newest first, with ids below `before`; empty for the newest of all. */
  list(before: string, limit: number): Promise<AgentToken[]>;
  /** Uses a token up, for one key, if it is good now and for this agent; an empty id is that of no agent in particular. Undefined if it is not. */
  use(use: {
    readonly secretSha256: Buffer;
    readonly keySha256: Buffer;
    readonly agentId: string;
    readonly madeAgentId: string;
    readonly now: Date;
  }): Promise<AgentToken | undefined>;
  /** The token by which an agent has joined last. */
  lastUsedBy(agentId: string): Promise<AgentToken | undefined>;
  revoke(id: string, now: Date): Promise<AgentToken | undefined>;
  /** Deletes those that were revoked, or expired unused, before a time; how many. */
  sweep(before: Date): Promise<number>;
};

/** What issues certificates for agents. */
export type Joining = {
  readonly authority: Authority;
  readonly validMs: number;
  /** Certificates (PEM) of all authorities that the platform trusts now. */
  readonly authorities: () => Promise<string>;
};

/** What an agent without a certificate asks for. */
export type JoinRequest = { readonly token: string; readonly signingRequest: string; readonly agentId: string };
export type Joined = { readonly agentId: string; readonly certificate: string; readonly authorities: string };

/** What flows about joining agents are given. */
export type JoinRegistry = {
  readonly agentTokens: AgentTokenStore;
  /** Undefined where no authority is set. */
  readonly joining: Joining | undefined;
  readonly clock: Clock;
  readonly log: Log;
};

/** Where the keys of grants are kept. */
export type GrantKeyStore = {
  /** The newest first. */
  list(): Promise<GrantKeyRow[]>;
  /** Adds a key, and deletes those of before a time. */
  insert(row: GrantKeyRow, before: Date): Promise<void>;
  /** Replaces the sealed form of a key. */
  reseal(row: Pick<GrantKeyRow, 'id' | 'secret'>): Promise<void>;
};

/** Where audit records are kept. */
export type AuditStore = {
  record(records: readonly AuditRecord[]): Promise<void>;
  /** Newest first, with ids below `before`; empty for the newest of all. */
  list(query: ListAuditRecordsRequest, namespaces: readonly string[] | 'all', before: string, limit: number): Promise<AuditRecord[]>;
  /** Deletes up to so many of before a time; how many. */
  sweep(before: Date, limit: number): Promise<number>;
};

/** Notifies watchers of changed access keys, by id. */
export type KeyFeed = {
  /** First an empty id, once the watch is established; ends when some changes may have been missed. */
  watch(signal: AbortSignal): AsyncIterable<string>;
  announce(id: string): void;
};

/** Where quotas are kept. A put answers false if there are as many as there may be. */
export type QuotaStore = {
  usage(namespace: string): Promise<NamespaceUsage>;
  usageOfKey(keyId: string): Promise<KeyUsage>;
  findNamespace(namespace: string): Promise<NamespaceQuota | undefined>;
  /** By name. */
  listNamespaces(after: string, limit: number): Promise<NamespaceQuota[]>;
  /** What is allowed of instances, wherever something is or the default allows less. */
  listInstances(): Promise<{ readonly namespace: string; readonly instances: number | undefined }[]>;
  putNamespace(quota: NamespaceQuota, most: number): Promise<boolean>;
  deleteNamespace(namespace: string): Promise<void>;
  findKey(keyId: string): Promise<KeyQuota | undefined>;
  /** By id. */
  listKeys(after: string, limit: number): Promise<KeyQuota[]>;
  putKey(quota: KeyQuota, most: number): Promise<boolean>;
  deleteKey(keyId: string): Promise<void>;
};

/** The namespace or key of a quota: undefined once the watch is established. */
export type QuotaNotice = { readonly of: 'namespace' | 'key'; readonly name: string } | undefined;

/** Notifies watchers of changed quotas. */
export type QuotaFeed = {
  /** First undefined, once the watch is established; ends when some changes may have been missed. */
  watch(signal: AbortSignal): AsyncIterable<QuotaNotice>;
  announce(notice: QuotaNotice): void;
};

/** What flows about quotas are given. */
export type QuotaRegistry = {
  readonly quotas: QuotaStore;
  readonly quotaFeed: QuotaFeed;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
};

/** What flows about keys and the audit log are given. */
export type KeyRegistry = {
  readonly keys: AccessKeyStore;
  readonly grantKeys: GrantKeyStore;
  readonly audit: AuditStore;
  readonly keyFeed: KeyFeed;
  /** Undefined where no sealing key is set. */
  readonly sealing: Sealing | undefined;
  readonly clock: Clock;
  readonly log: Log;
};

/** What every flow is given. */
export type Registry = {
  readonly store: FunctionStore;
  readonly concurrency: ConcurrencyStore;
  readonly quotas: QuotaStore;
  /** Megabytes the instances of all functions may have together. */
  readonly concurrencyMb: number;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly limits: PackageLimits;
  /** What packages that come in pieces may hold together until they are whole. */
  readonly packageBytes: ByteBudget;
  readonly destinations: DestinationRules;
  /** Undefined where no sealing key is set. */
  readonly sealing: Sealing | undefined;
  /** Reads a package through; the buffer it is given may be gone afterwards, its bytes are in the answer. */
  readonly inspect: (zip: Buffer, limits: PackageLimits) => Promise<InspectedPackage>;
};
