import type { EventStoreServiceService, LogGrant, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import type { ClientOf } from '@evenfall/rpc';
import type { Counters, Log } from '@evenfall/telemetry';
import { type Clock, createBackoff, yieldToLoop } from '@evenfall/time';
import type { LogShipper } from '../flows/agent.ts';
import type { LogBatch, LogSpool } from '../ports.ts';

const RETRY = { firstMs: 100, mostMs: 5_000 };
const MAX_BATCH_LINES = 500;
const MAX_AGE_MS = 50;
const CALL_TIMEOUT_MS = 10_000;
const WAIT_STORED_MS = 1_000;
/** Lines kept in memory while the event-store is away: what is more goes to disk, and where there is no room either the oldest are dropped. */
const SPILL_BYTES = 4 * 1024 * 1024;
const MAX_HELD_BYTES = 32 * 1024 * 1024;
const DROP_LINES = 1_000;
/** What a line costs beside its text, roughly. */
const LINE_OVERHEAD_BYTES = 200;

export type RunningShipper = LogShipper & {
  /** Sends the remaining lines, for at most a second; what remains then is on disk for the next start. */
  stop(): Promise<void>;
};

export type ShipperPorts = {
  readonly eventStore: Pick<ClientOf<typeof EventStoreServiceService>, 'appendLogLines'>;
  readonly agentId: string;
  readonly spool: LogSpool;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters<'log_lines_stored_total' | 'log_lines_dropped_total'>;
};

/** A line, and the grant of what it is of. */
type HeldLine = StoredLogLine & { readonly grant: LogGrant };
type Waiter = { readonly ordinal: number; readonly untilMs: number; readonly done: () => void };

/**
 * Sends log lines to the event-store: one call in flight, at most 500 lines or 50 ms old, tried again until they are stored, in order. Those on
 * disk are older than those in memory and go first.
 */
export function shipLogs({ eventStore, agentId, spool, clock, log, counters }: ShipperPorts): RunningShipper {
  let lines: HeldLine[] = [];
  let heldBytes = 0;
  let pushed = 0;
  let stored = 0; // dropped ones count as stored: nothing more will become of them
  let waiters: Waiter[] = [];
  let inFlight = false;
  let pauseMs = 0;
  const backoff = createBackoff(RETRY);
  let timer: NodeJS.Timeout | undefined;
  let waiterTimer: NodeJS.Timeout | undefined;
  const stopped = new AbortController();

  const sizeOf = (line: StoredLogLine): number => (line.line?.text.length ?? 0) + LINE_OVERHEAD_BYTES;
  /** Answers how many lines were not stored, and never will be. */
  const store = async ({ lines, grants }: LogBatch): Promise<number> => {
    const call = { timeoutMs: CALL_TIMEOUT_MS, signal: stopped.signal };
    const { refusedCount } = await eventStore.appendLogLines({ lines, grants, agentId }, call);
    if (refusedCount > 0) log.warn('The event-store refuses log lines without a grant', { lines: refusedCount });
    return refusedCount;
  };
  const wake = (): void => {
    const nowMs = clock.monotonic();
    while (waiters[0] && (waiters[0].ordinal <= stored || waiters[0].untilMs <= nowMs)) waiters.shift()?.done();
    clearTimeout(waiterTimer);
    waiterTimer = waiters[0] && setTimeout(wake, Math.max(1, Math.ceil(waiters[0].untilMs - nowMs)));
  };
  const schedule = (ms: number): void => {
    if (inFlight || pauseMs > 0) return;
    if (ms === 0) {
      clearTimeout(timer);
      timer = undefined;
      void send();
    } else timer ??= setTimeout(() => ((timer = undefined), void send()), ms);
  };
  const send = async (): Promise<void> => {
    if (inFlight || (lines.length === 0 && spool.size === 0) || stopped.signal.aborted) return;
    inFlight = true;
    const spooled = await spool.oldest();
    const taken = spooled ? [] : lines.splice(0, MAX_BATCH_LINES);
    const batch = spooled ?? batchOf(taken);
    try {
      const refused = batch.lines.length > 0 ? await store(batch) : 0;
      counters.log_lines_stored_total += batch.lines.length - refused;
      counters.log_lines_dropped_total += refused;
      if (spooled) {
        counters.log_lines_dropped_total += spooled.lostCount;
        await spooled.remove();
      } else {
        stored += taken.length;
        for (const line of taken) heldBytes -= sizeOf(line);
      }
      pauseMs = 0;
      backoff.reset();
    } catch (error) {
      if (!stopped.signal.aborted && pauseMs === 0) log.warn('Log lines could not be stored; trying again', { error: String(error) });
      lines = taken.concat(lines);
      pauseMs = backoff.next();
    }
    // Away, or too slow for what is written.
    if (pauseMs > 0 || heldBytes > 2 * SPILL_BYTES) await spill(SPILL_BYTES);
    drop();
    inFlight = false;
    wake();
    if (stopped.signal.aborted || (lines.length === 0 && spool.size === 0)) return;
    if (pauseMs > 0) {
      clearTimeout(timer);
      timer = setTimeout(() => ((timer = undefined), void send()), pauseMs);
    } else schedule(waiters.length > 0 || spool.size > 0 || lines.length >= MAX_BATCH_LINES ? 0 : MAX_AGE_MS);
  };
  /** Writes the oldest to disk until no more than so much is in memory. No attempt waits for them any longer: they are kept. */
  const spill = async (downToBytes: number): Promise<void> => {
    while (heldBytes > downToBytes && lines.length > 0) {
      const batch = lines.slice(0, MAX_BATCH_LINES);
      if (!(await spool.put(batchOf(batch)))) return;
      lines.splice(0, batch.length);
      stored += batch.length;
      for (const line of batch) heldBytes -= sizeOf(line);
    }
  };
  /** A flood does not wait for the next try. */
  const spillBetween = async (): Promise<void> => {
    inFlight = true;
    await spill(SPILL_BYTES);
    drop();
    inFlight = false;
    wake();
    timer ??= setTimeout(() => ((timer = undefined), void send()), pauseMs); // it may have come up meanwhile
  };
  /** Drops the oldest beyond the limit; each attempt that loses lines keeps one that counts them. */
  const drop = (): void => {
    while (heldBytes > MAX_HELD_BYTES && lines.length > DROP_LINES) {
      const lost = new Map<string, { first: HeldLine; count: number }>();
      const dropped = lines.splice(0, DROP_LINES);
      for (const line of dropped) {
        heldBytes -= sizeOf(line);
        const key = `${line.eventId}/${line.line?.attempt}`;
        const entry = lost.get(key);
        if (entry) entry.count += 1;
        else lost.set(key, { first: line, count: 1 });
      }
      const notes: HeldLine[] = [];
      for (const { first, count } of lost.values()) {
        if (!first.line) continue;
        const text = `[PLATFORM] ${count} log lines were lost`;
        const note = { ...first, line: { ...first.line, stream: Stream.PLATFORM, text } };
        notes.push(note);
        heldBytes += sizeOf(note);
      }
      stored += dropped.length - notes.length;
      counters.log_lines_dropped_total += dropped.length;
      lines = notes.concat(lines);
      if (notes.length === DROP_LINES) return; // one line an event: nothing is gained by counting
    }
  };

  if (spool.size > 0) schedule(MAX_AGE_MS); // of an earlier session
  return {
    push(line, grant) {
      lines.push({ ...line, grant });
      heldBytes += sizeOf(line);
      pushed += 1;
      if (heldBytes > 2 * SPILL_BYTES && pauseMs > 0 && !inFlight) void spillBetween();
      schedule(lines.length >= MAX_BATCH_LINES ? 0 : MAX_AGE_MS);
      return pushed;
    },
    whenStored(ordinal, done) {
      if (ordinal <= stored) {
        done();
        return;
      }
      waiters.push({ ordinal, untilMs: clock.monotonic() + WAIT_STORED_MS, done });
      if (waiters.length === 1) wake();
      schedule(0);
    },
    async stop() {
      clearTimeout(timer);
      pauseMs = 0;
      const untilMs = clock.monotonic() + WAIT_STORED_MS;
      while (lines.length > 0 && !inFlight && clock.monotonic() < untilMs && pauseMs === 0) await send();
      stopped.abort();
      while (inFlight) await yieldToLoop();
      await spill(0);
      clearTimeout(timer);
      clearTimeout(waiterTimer);
      const left = waiters;
      waiters = [];
      for (const waiter of left) waiter.done();
    },
  };
}

/** Lines with each of their grants once: all lines of an attempt have the same object. */
function batchOf(held: readonly HeldLine[]): LogBatch {
  return {
    lines: held.map(({ eventId, sequence, line }) => ({ eventId, sequence, line })),
    grants: [...new Set(held.map(({ grant }) => grant))],
  };
}
