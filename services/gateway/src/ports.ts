import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { Access } from '@evenfall/access';
import type { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import type { KeyQuota, NamespaceQuota, QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import type { EventSubmission } from '@evenfall/contracts/v1/event_service';
import type { ClientOf } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import type { Clock } from '@evenfall/time';
import type { AuditedCall, AuditEntry } from './domain/audit-entry.ts';

/** Whom the gateway calls. It stores nothing itself. */
export type GatewayPorts = {
  readonly functions: ClientOf<typeof FunctionServiceService>;
  readonly accessKeys: ClientOf<typeof AccessKeyServiceService>;
  readonly quotas: ClientOf<typeof QuotaServiceService>;
  readonly registry: ClientOf<typeof RegistryServiceService>;
  /** One client for each replica. */
  readonly queues: readonly ClientOf<typeof QueueServiceService>[];
  readonly scheduler: ClientOf<typeof SchedulerServiceService>;
  readonly eventStore: ClientOf<typeof EventStoreServiceService>;
  readonly log: Log;
};

/** A secret of a key, and until when it is good. */
export type HeldSecret = {
  readonly sha256: Buffer;
  /** The secret itself, of a key that can sign requests of SCF. */
  readonly scf: string | undefined;
  /** Infinity for as long as the key. */
  readonly untilMs: number;
  /** Of who calls with it. Each secret has one of its own: what was begun with one ends with it, though its key goes on. */
  readonly access: Access;
};

/** An access key as the APIs hold it. */
export type HeldKey = { readonly untilMs: number; readonly secrets: readonly HeldSecret[] };

/** The keys of the settings, and those of the registry. */
export type KeyRing = {
  find(id: string): HeldKey | undefined;
  /** Whether it is one of the settings: those are not the registry's to make or to end. */
  isOwn(id: string): boolean;
  /** Aborted once the key, or token, is not good any more: for what goes on after a call was let in. Undefined for what never ends. */
  endOf(access: Access): AbortSignal | undefined;
  /** Whether the watch of the registry is connected, so that all keys are known. */
  readonly isWatching: boolean;
};

/** Tokens of OIDC issuers. Refusals: UNAUTHENTICATED, TOKEN_WITHOUT_ROLE, SERVICE_UNAVAILABLE while the issuer's keys cannot be fetched. */
export type Tokens = {
  /** Says who calls; at once for a token that was seen before. */
  check(token: string): Access | Promise<Access>;
  /** The same of a token that was checked when its call began. */
  known(token: string): Access;
  /** As of a key; undefined for what is no token's. */
  endOf(access: Access): AbortSignal | undefined;
  /** Why tokens cannot be checked now, a sentence for each issuer, for people. */
  notes(): readonly string[];
};

/** The quotas that hold, the defaults among them. */
export type QuotaBook = {
  ofNamespace(namespace: string): NamespaceQuota | undefined;
  ofKey(keyId: string): KeyQuota | undefined;
  /** Whether all quotas were received once; waits a limited time for it. */
  known(): boolean | Promise<boolean>;
  /** Whether they are current. */
  readonly isWatching: boolean;
  /** Whether any of them is about events that wait, and whether one of them is of a key. */
  readonly limitsQueued: boolean;
  readonly limitsQueuedByKey: boolean;
};

/** What events count for. */
export type Counted = { readonly scope: 'key' | 'namespace'; readonly name: string };

/** How many events of each namespace and of each access key wait to start; of keys only while `QuotaBook.limitsQueuedByKey`. */
export type WaitingCounts = {
  count(of: Counted): number;
  /** Whether it was counted a moment ago. */
  readonly isRecent: boolean;
  /** Counts anew, unless that was done just now. Never rejects. */
  refresh(): Promise<void>;
  /** Notes events that are sent now, for all that they count for; answers what is to be called once the queue has answered. */
  add(of: readonly Counted[], events: number): () => void;
};

/** Judges events before they are sent, all of one call in one step. Refusals: RATE_LIMITED, BURST_EXCEEDED, TOO_MANY_QUEUED_EVENTS, SERVICE_UNAVAILABLE. */
export type Admit = (sent: {
  readonly keyId: string;
  readonly namespace: string;
  readonly events: number;
  /** Whether they wait in the queue; a synchronous call does not. */
  readonly areQueued: boolean;
}) => Promise<() => void>;

/** The functions that qualifiers name, cached while the registry reports changes. */
export type FunctionCache = {
  /** Resolves a qualifier. Refusals: FUNCTION_NOT_FOUND, QUALIFIER_NOT_FOUND, SERVICE_UNAVAILABLE. */
  resolve(namespace: string, name: string, qualifier: string): Promise<FunctionMessage>;
  /** Forgets a function that is known to have changed. */
  forget(namespace: string, name: string): void;
  /** Whether the watch of the registry is connected: otherwise nothing is cached. */
  readonly isWatching: boolean;
};

/** Limits of the payloads at the APIs. */
export type PayloadLimits = {
  /** Bytes of one asynchronous payload. */
  readonly maxPayloadBytes: number;
  /** Bytes of one synchronous payload. */
  readonly maxSyncPayloadBytes: number;
};

/** What is done to large bodies, beside the event loop. Refusals: INVALID_JSON, PAYLOAD_NOT_JSON, INVALID_FIELD, REQUEST_TOO_LARGE, SERVICE_UNAVAILABLE. */
export type LargeBodies = {
  /** Reads `{"events": […]}`; every payload is JSON then. */
  batch(parts: readonly Uint8Array[]): Promise<EventSubmission[]>;
  /**
   * Takes large texts out of a JSON object, by their paths: Base64 as what it means, others as UTF-8; undefined for what is neither. The rest of
   * the text has empty texts in their place, and 256 KiB at most.
   */
  extract(
    parts: readonly Uint8Array[],
    paths: { readonly base64?: readonly string[]; readonly texts?: readonly string[] },
  ): Promise<{ readonly rest: string; readonly taken: ReadonlyMap<string, Buffer | undefined> }>;
  /** Checks that a payload is JSON text, and gives it back: the one it is given is not there any more. */
  check(payload: Uint8Array): Promise<Buffer>;
};

/** The queue as one, whatever the number of its replicas. */
export type Queue = Pick<ClientOf<typeof QueueServiceService>, 'acceptEvents' | 'terminateEvent' | 'purgeDeadLetter'>;

/** What every flow is given. */
export type Gateway = Omit<GatewayPorts, 'queues'> & {
  readonly queue: Queue;
  readonly cache: FunctionCache;
  readonly keys: KeyRing;
  readonly clock: Clock;
  readonly limits: PayloadLimits;
  readonly bodies: LargeBodies;
};

/** Accepts the entries of the APIs for the audit log. */
export type AuditTrail = {
  /** Notes an entry; resolves when it is kept, or after two seconds: it is kept later then. */
  note(entry: AuditEntry): Promise<void>;
  readonly droppedCount: number;
};

/** On whose behalf a flow runs. */
export type Caller = {
  /** What the audit log keeps of the call; undefined for one that it does not keep. */
  readonly audited: AuditedCall | undefined;
  /** The access key's id, or "anonymous". */
  readonly requester: string;
  /** What the key may do. */
  readonly access: Access;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
  /** W3C trace context the caller sent; empty without one. */
  readonly traceparent: string;
};
