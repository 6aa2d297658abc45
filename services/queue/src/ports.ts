import type { Event } from '@evenfall/contracts/v1/event';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { EventLog } from '@evenfall/event-log';
import type { PartitionOwner } from '@evenfall/event-model';
import type { Clock } from '@evenfall/time';
import type { Log } from '@evenfall/telemetry';

/** What the queue asks of the event-store. */
export type EventView = {
  /** Open events of some partitions, how far these were folded, and whom the log believed there, as of one moment. */
  snapshot(partitions: readonly number[]): Promise<{
    readonly positions: ReadonlyMap<number, { readonly endOffset: number; readonly owner: PartitionOwner }>;
    readonly events: readonly StoredEvent[];
  }>;
  /** An event as the view has it once it has seen the given position; undefined if there is none. */
  get(id: string, after?: { readonly partition: number; readonly endOffset: number }): Promise<Event | undefined>;
};

/** What the queue's flows work with. */
export type QueuePorts = {
  readonly eventLog: EventLog;
  readonly view: EventView;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Made anew at every start: tells this replica from others, and from its own past. */
  readonly replicaId: string;
  readonly laneLimit: number;
};
