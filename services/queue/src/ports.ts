import type { LaneName } from './domain/types.ts';
import type { WebhookAnswer, WebhookRequest } from './domain/webhook.ts';
import type { FunctionMessage, WebhookDestination } from '@evenfall/contracts/v1/function';
import type { Event } from '@evenfall/contracts/v1/event';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { EventLog } from '@evenfall/event-log';
import type { PartitionOwner } from '@evenfall/event-model';
import type { Clock } from '@evenfall/time';
import type { Log } from '@evenfall/telemetry';

/** A place in the log that the view must have reached. */
export type After = { readonly partition: number; readonly endOffset: number };

/** An open event, and the offset of its Accepted record. */
export type OpenEvent = { readonly folded: FoldedEvent; readonly acceptOffset: number };

/** What the queue asks of the event-store. */
export type EventView = {
  /**
   * Open events of some partitions in the order they were accepted, in parts, once the view has reached the given places; and how far it is, as
   * of one moment, with the owner that the log had there and when it took that owner's first record, where it says that. Also ended events with a pending delivery.
   */
  snapshot(after: readonly After[]): AsyncIterable<{
    readonly positions: readonly {
      readonly partition: number;
      readonly endOffset: number;
      readonly owner: PartitionOwner;
      readonly ownerLogMs: number | undefined;
    }[];
    readonly events: readonly OpenEvent[];
    readonly pendingDeliveries: readonly FoldedEvent[];
  }>;
  /** Queued events of a lane in order, those accepted after the given offset. */
  listQueued(
    lane: LaneName,
    afterOffset: number,
    limit: number,
    after: After,
  ): Promise<{ readonly events: readonly OpenEvent[]; readonly hasMore: boolean }>;
  /** One queued event of a lane; undefined if it is not queued (any more). */
  getQueued(lane: LaneName, id: string, after: After): Promise<OpenEvent | undefined>;
  /** Ended events of a partition that are pending for a destination, except some. */
  listPendingDeliveries(
    query: { readonly partition: number; readonly destination: string; readonly limit: number; readonly exceptEventIds: string[] },
    after: After,
  ): Promise<{ readonly pendingDeliveries: readonly FoldedEvent[]; readonly hasMore: boolean }>;
  /** An event as the view has it once it has seen the given position; undefined if there is none. */
  get(id: string, after?: After): Promise<Event | undefined>;
};

/** Makes requests to webhooks. */
export type WebhookSender = {
  /** Rejects if there was no answer. */
  send(request: WebhookRequest, signal: AbortSignal): Promise<WebhookAnswer>;
};

/** Writes messages to topics of the platform's Kafka. */
export type TopicSender = {
  /** Answers why Kafka refuses it for good, or nothing once it is written; rejects after a transient failure. */
  send(message: {
    readonly topic: string;
    readonly key: string;
    readonly value: Buffer;
    readonly headers: Readonly<Record<string, string>>;
  }): Promise<string | undefined>;
};

/** What deliveries to destinations need. */
export type DestinationPorts = {
  /** The version a qualifier names, at most a second ago. Rejects with the registry's refusals. */
  resolveFunction(namespace: string, name: string, qualifier: string): Promise<FunctionMessage>;
  /** The secret of a webhook, which may be sealed. Rejects with the registry's refusals. */
  webhookSecret(target: WebhookDestination): Promise<string>;
  /** Undefined where there is no Kafka. */
  readonly topics: TopicSender | undefined;
  readonly webhooks: WebhookSender;
};

/** What the queue's flows work with. */
export type QueuePorts = {
  readonly eventLog: EventLog;
  readonly view: EventView;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Made anew at every start: distinguishes this replica from others, and from its own past. */
  readonly replicaId: string;
  readonly laneLimit: number;
};
