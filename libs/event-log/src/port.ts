import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/** A record of the log that cannot be decoded. */
export type Unreadable = { readonly offset: number; readonly bytes: Uint8Array; readonly error: string };

/** Consecutive records of one partition. */
export type LogBatch = {
  readonly partition: number;
  /** Offset of the first record; the others follow without gaps. */
  readonly firstOffset: number;
  readonly records: readonly EventRecord[];
  /**
   * When the log took them, in milliseconds since 1970: one time where it took all of them at one moment, else one of each. By the log's own clock,
   * whatever the clock of the writer was; unset where the log does not say.
   */
  readonly appendTimesMs?: number | readonly number[];
  /** Set where those times are by the clocks of the writers: in a topic of Kafka without LogAppendTime. */
  readonly byWriterClock?: true;
  /** Those among them that cannot be decoded: in `records` there is one about no event instead. Unset without any. */
  readonly unreadable?: readonly Unreadable[];
};

/** A reader that applies the log. Its calls never overlap. */
export type Subscriber = {
  /** Name of the reader; those of one name share the partitions. Lower-case letters and dashes. */
  readonly name: string;
  /** Called when partitions are its own; returns the offset to read each from. */
  owned(partitions: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Takes batches in order. The next come after it has resolved; if it rejects, the same batches come again after `owned`. */
  apply(batches: readonly LogBatch[]): Promise<void>;
  /** Called when partitions are lost to another reader; possibly twice, and possibly while another call is under way. */
  lost(partitions: readonly number[]): void;
};

export type Subscription = {
  /** Commits offsets: what lies before them need not be retained for this reader. Cheap; persisted now and then. */
  applied(endOffsets: ReadonlyMap<number, number>): void;
  /**
   * Whether this reader can be sure that its partitions are still its own. False once the ownership was not confirmed for a session, and while the
   * partitions are being shared out anew; a log that is not shared always says true. Cheap: to be asked before anything that only an owner may do.
   */
  isOwner(): boolean;
  /** Starts over: every partition is lost, owned again, and read from wherever `owned` says then. */
  again(): void;
  stop(): Promise<void>;
};

/**
 * The event log: durable, totally ordered within a partition. It has two drivers, Kafka and the embedded one, and one conformance
 * suite runs against both.
 */
export type EventLog = {
  readonly partitionCount: number;
  /**
   * Appends records to a partition in order, and resolves with the offset after the last once they are durable. Up to `WRITE_BYTES` they are
   * together and all or none; more are several writes, one after the other.
   * Rejects with LOG_UNAVAILABLE; then they may, rarely, be in the log all the same: applying a record twice must change nothing. Rejects with
   * `RecordsRefused` if they never will be: one of them is larger than `RECORD_BYTES`, cannot be encoded, or is refused by the server.
   */
  append(partition: number, records: readonly EventRecord[]): Promise<number>;
  /** The offset after the last durable record of every partition, as of some moment after the call. Rejects with LOG_UNAVAILABLE. */
  endOffsets(): Promise<ReadonlyMap<number, number>>;
  subscribe(subscriber: Subscriber): Subscription;
  close(): Promise<void>;
};
