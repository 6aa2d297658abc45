import type { EventEmitter } from 'node:events';
import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { EventLog } from '@evenfall/event-log';
import { createGrantChecker } from '@evenfall/grants';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { migrate, type Sql } from '@evenfall/postgres';
import type { ClientOf, Implementation } from '@evenfall/rpc';
import { countable, createRepeats, type Log, observable } from '@evenfall/telemetry';
import { systemClock } from '@evenfall/time';
import { createAuditOutbox } from './adapters/postgres/audit-outbox.ts';
import { createDeadLetterTable } from './adapters/postgres/dead-letter-table.ts';
import { createEventTable } from './adapters/postgres/event-table.ts';
import { createLogTable } from './adapters/postgres/log-table.ts';
import { createPartitions } from './adapters/postgres/partitions.ts';
import { createPutAsideTable } from './adapters/postgres/put-aside-table.ts';
import { createApi } from './api.ts';
import { createApplied, recordsBehind } from './domain/applied.ts';
import { createProgress } from './domain/progress.ts';
import { createLineBudgets } from './domain/line-budgets.ts';
import { createWatchers, versionedOf } from './domain/watchers.ts';
import { createKeeper } from './flows/purge.ts';
import { createReadBarrier } from './flows/read-barrier.ts';
import { type FoldPorts, startFold } from './loops/fold.ts';
import { handOverAudit } from './loops/hand-over-audit.ts';
import { lookForChanges } from './loops/look-for-changes.ts';
import { runRetention } from './loops/retention.ts';
import { watchProgress } from './loops/watch-progress.ts';

export type EventStorePorts = {
  /** For reads, and whatever else must be on disk when it is done. */
  readonly sql: Sql;
  /** For the fold alone: its commits need not wait for the disk, since the log holds everything that is in them. */
  readonly foldSql: Sql;
  /** Emits `close` when a connection of that pool has gone: the newest folds may be undone. Reads wait until they have been done again. */
  readonly foldConnection?: EventEmitter<{ close: [] }>;
  readonly eventLog: EventLog;
  /** Keeps the audit log, and the keys by which lines are known to be an agent's to say. */
  readonly registry: Pick<ClientOf<RegistryServiceService>, 'recordAudit' | 'getGrantKeys'>;
  readonly log: Log;
  /**
   * Whether other processes read the tables too; default true. Where none does, watchers are notified of a change before it is written, since reads
   * in this process wait for the write. Another process could read an older state than a watcher was notified of.
   */
  readonly isShared?: boolean;
};
export type EventStoreSettings = { readonly retentionMs: number; readonly deadLetterRetentionMs: number };
export type EventStore = {
  readonly api: Implementation<EventStoreServiceService>;
  /** What keeps events from being read, for people; empty if nothing does. */
  faults(): readonly string[];
  stop(): Promise<void>;
};

type FoldTable = ReturnType<typeof createEventTable>;

/** How long the view may make no progress, with records to fold, before the event-store reports that events cannot be read. */
const STALLED_MS = 8_000;
/** Agents wait for ten seconds. */
const GRANT_KEYS_WITHIN_MS = 5_000;
/** How often the log mentions that one agent sent lines that it may not store. */
const REFUSED_SILENCE_MS = 60_000;

/** Starts the event-store: brings its schema up to date, folds the log, keeps its partitions, and answers. */
export async function startEventStore(ports: EventStorePorts, settings: EventStoreSettings): Promise<EventStore> {
  const { sql, eventLog, log, isShared = true } = ports;
  await migrate(sql, { schema: 'events', dir: new URL('../migrations/', import.meta.url) });
  const counters = createCounters();
  const events = countingFolds(createEventTable(sql, ports.foldSql, settings.retentionMs), counters);
  const logs = createLogTable(sql);
  const partitions = createPartitions(sql);
  const aside = createPutAsideTable(sql);
  const outbox = createAuditOutbox(sql);
  const handingOver = handOverAudit({ outbox, registry: ports.registry, log });
  const progress = createProgress(STALLED_MS);
  const retention = { eventsMs: settings.retentionMs, deadLettersMs: settings.deadLetterRetentionMs };
  const keeper = createKeeper(partitions, retention, systemClock);
  await keeper.round();

  const applied = createApplied();
  observeView({ eventLog, events, aside, outbox });
  const watchers = createWatchers();
  const stopping = new AbortController();
  const hurry = (): void => folding.hurry(); // not called before the fold is started, below
  const { barrier, isAwaited, startOver } = createReadBarrier(eventLog, applied, events.applied, stopping.signal, { hurry });
  startOver(); // closed before the first read: the fold takes a moment to find out how far the view is
  const { folding, foldAgain, ownedCount } = foldIntoView({
    eventLog,
    log,
    notifiesAhead: !isShared,
    tables: { events, partitions, aside },
    counters,
    progress,
    retention,
    applied,
    watchers,
    startOver,
    isAwaited,
    onAudited: handingOver.wake,
  });
  ports.foldConnection?.on('close', foldAgain);
  const looking = lookForChanges({ events, watchers, isNeeded: () => ownedCount() < eventLog.partitionCount }, stopping.signal);
  const auditing = handingOver.run(stopping.signal);
  const keeping = runRetention(keeper, log, stopping.signal);
  const watching = watchProgress({ log: eventLog, events, progress, clock: systemClock }, stopping.signal);
  const faults = (): readonly string[] => progress.faults(systemClock.monotonic());
  return {
    faults,
    api: createApi({
      aside,
      faults,
      events,
      deadLetters: createDeadLetterTable(sql, settings.deadLetterRetentionMs),
      logs,
      partitions,
      keeper,
      retentionMs: retention.eventsMs,
      grants: createGrantChecker({
        keys: async () => (await ports.registry.getGrantKeys({}, { timeoutMs: GRANT_KEYS_WITHIN_MS })).keys,
        clock: systemClock,
      }),
      log,
      budgets: createLineBudgets(),
      refusedRepeats: createRepeats(REFUSED_SILENCE_MS),
      counters,
      barrier,
      watchers,
      pending: (id) => folding.pending(id),
    }),
    async stop() {
      stopping.abort();
      ports.foldConnection?.off('close', foldAgain);
      await folding.stop();
      await Promise.all([keeping, looking, watching, auditing]);
    },
  };
}

type ViewParts = {
  readonly eventLog: EventLog;
  readonly log: Log;
  readonly tables: Pick<FoldPorts, 'events' | 'partitions' | 'aside'>;
  readonly counters: ReturnType<typeof createCounters>;
  readonly progress: ReturnType<typeof createProgress>;
  readonly retention: { readonly eventsMs: number; readonly deadLettersMs: number };
  readonly applied: ReturnType<typeof createApplied>;
  readonly watchers: ReturnType<typeof createWatchers>;
  /** Closes the read barrier until the view has caught up. */
  readonly startOver: () => void;
} & Pick<FoldPorts, 'notifiesAhead' | 'isAwaited' | 'onAudited'>;

/** Starts the fold, which opens the read barrier, notifies watchers and reports what it cannot fold. */
function foldIntoView({ eventLog, log, notifiesAhead, tables, counters, progress, retention, applied, watchers, ...parts }: ViewParts) {
  const { startOver, isAwaited, onAudited } = parts;
  const notifyWatchers = (touched: ReadonlyMap<string, FoldedEvent>): void => {
    for (const [id, folded] of touched) if (watchers.has(id)) watchers.notify(id, versionedOf(folded));
  };
  let owned = 0; // partitions that are folded here
  const folding = startFold({
    log: eventLog,
    ...tables,
    onPutAside({ partition, offset, eventId, reason }) {
      counters.records_put_aside_total++;
      const named = { partition, offset, event_id: eventId === '' ? undefined : eventId, reason }; // one that cannot be decoded is about no event
      log.error('a record of the event log could not be folded, and is put aside', undefined, named);
    },
    onTrouble: (error) => progress.note(error),
    onOwned(partitions) {
      owned = partitions.length;
    },
    isAwaited,
    retainedSinceMs: () => ({
      eventsMs: systemClock.now() - retention.eventsMs,
      deadLettersMs: systemClock.now() - retention.deadLettersMs,
    }),
    onStartOver(offsets) {
      applied.startOver(offsets);
      startOver();
    },
    onAudited,
    notifiesAhead,
    onFolding: notifyWatchers,
    onNotFolded: startOver,
    onFolded(touched, endOffsets) {
      applied.moved(endOffsets);
      notifyWatchers(touched); // also of what they know: a watcher may have come in between
    },
  });
  const foldAgain = (): void => {
    applied.startOver(new Map(Array.from({ length: eventLog.partitionCount }, (_, partition) => [partition, 0])));
    startOver();
    folding.again();
  };
  return { folding, foldAgain, ownedCount: () => owned };
}

function createCounters() {
  return countable('event_store', {
    records_folded_total: { doc: 'Records of the event log folded into the view.', kind: 'counter' },
    records_put_aside_total: { doc: 'Records of the event log this replica could not fold, and put aside.', kind: 'counter' },
    log_lines_refused_total: {
      doc: 'Log lines that agents sent for attempts and instances that were not assigned to them, or beyond what is stored of an attempt. None was stored.',
      kind: 'counter',
    },
    fold_batches_total: { doc: 'Folds written, each of one or more batches of the log.', kind: 'counter' },
  });
}

/** The tables of events, with a count of what is folded into them. */
function countingFolds(table: FoldTable, counters: ReturnType<typeof createCounters>): FoldTable {
  return {
    ...table,
    async writeFold(changes) {
      const written = await table.writeFold(changes);
      if (written) counters.fold_batches_total++;
      if (written) for (const { from, to } of changes.moves) counters.records_folded_total += to - from;
      return written;
    },
  };
}

type Observed = {
  readonly eventLog: EventLog;
  readonly events: FoldTable;
  readonly aside: ReturnType<typeof createPutAsideTable>;
  readonly outbox: ReturnType<typeof createAuditOutbox>;
};

/** Shows what is counted where it is, in the log and in the tables, at every scrape. */
function observeView({ eventLog, events, aside, outbox }: Observed): void {
  observable('event_store', {
    behind_records: {
      doc: 'Records of the event log that are not in the view yet.',
      kind: 'gauge',
      read: async () => recordsBehind(await eventLog.endOffsets(), await events.applied()),
    },
    records_put_aside: {
      doc: 'Records of the event log that are put aside: they could not be folded into the view.',
      kind: 'gauge',
      read: () => aside.count(),
    },
    audit_records_waiting: {
      doc: 'Audit records of terminations that the registry does not have yet.',
      kind: 'gauge',
      read: () => outbox.count(),
    },
    open_events: { doc: 'Events in the view that have not ended.', kind: 'gauge', read: () => events.countOpen() },
  });
}
