import type { PurgeRequest, PurgeResponse } from '@evenfall/contracts/v1/operator_service';
import type { Clock } from '@evenfall/time';
import { refuse } from '@evenfall/errors';
import { type ClockTrust, dueMs, isHeld, KINDS, lookAtClock, type Partition, type Retention } from '../domain/retention.ts';
import { SPAN_MS, spanOf } from '../domain/spans.ts';
import type { Partitions } from '../ports.ts';

/** Partitions are made so far ahead: a service that does not get to it for a day does no harm. */
const AHEAD_MS = 48 * 3_600_000;
const HELD_BACK = 'the clock was set ahead, or no purge has run for more than a day: nothing is dropped for an hour';

/** What keeps the partitions: rounds, and the purge an operator asks for. */
export type Keeper = {
  /** One round: makes partitions ahead, drops what is due. Answers what was dropped. */
  round(): Promise<readonly Partition[]>;
  purge(request: PurgeRequest): Promise<PurgeResponse>;
};

export function createKeeper(partitions: Partitions, retention: Retention, clock: Clock): Keeper {
  let trust: ClockTrust | undefined;

  const look = async (): Promise<boolean> => {
    const lastRoundMs = trust ? undefined : await partitions.lastRoundMs();
    trust = lookAtClock(trust, { wallMs: clock.now(), monotonicMs: clock.monotonic() }, lastRoundMs);
    return !isHeld(trust);
  };
  const dueAt = async (nowMs: number): Promise<Partition[]> => {
    const all = await partitions.list();
    return all.filter((one) => dueMs(one, retention) <= nowMs).sort((a, b) => a.spanMs - b.spanMs || (a.name < b.name ? -1 : 1));
  };
  const round = async (): Promise<readonly Partition[]> => {
    const nowMs = clock.now();
    const times = [];
    for (let at = spanOf(nowMs); at <= nowMs + AHEAD_MS; at += SPAN_MS) times.push(at);
    await partitions.ensure(times);
    if (!(await look())) return [];
    const due = await dueAt(nowMs);
    for (const one of due) await partitions.drop(one);
    await partitions.forgetBefore(spanOf(nowMs - retention.eventsMs));
    await partitions.noteRound(nowMs);
    return due;
  };
  const shown = async (due: readonly Partition[]): Promise<PurgeResponse['partitions']> => {
    const sizes = await partitions.describe(due);
    return due.map((one) => ({
      name: one.name,
      kind: KINDS[one.table],
      fromTime: new Date(one.spanMs),
      toTime: new Date(one.spanMs + SPAN_MS),
      dueTime: new Date(dueMs(one, retention)),
      rowEstimate: BigInt(sizes.get(one.name)?.rowEstimate ?? -1),
      sizeBytes: sizes.get(one.name)?.sizeBytes ?? 0n,
    }));
  };
  return {
    round,
    async purge({ dryRun, time }) {
      if (time && !dryRun) throw refuse('INVALID_FIELD', { field: 'time', rule: 'only for a dry run: what is dropped is what is due now' });
      const due = await shown(await dueAt(time?.getTime() ?? clock.now()));
      const heldBack = (await look()) ? '' : HELD_BACK;
      if (dryRun || heldBack !== '') return { partitions: dryRun ? due : [], heldBack };
      await round();
      return { partitions: due, heldBack };
    },
  };
}
