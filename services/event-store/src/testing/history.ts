import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { Delivery_State as DeliveryState } from '@evenfall/contracts/v1/event';
import { type ResultName, endedAs, newLife, started, START_MS } from '../../../../libs/event-model/src/testing/life.ts';

export type HistoryOptions = {
  /** When it was accepted, in milliseconds since the epoch. */
  readonly atMs: number;
  /** How far it came: nothing more than accepted, running, or an end. */
  readonly until?: 'accepted' | 'running' | ResultName;
  readonly fn?: string;
  readonly keyed?: boolean;
  readonly payload?: string;
  /** Milliseconds from the accept to the start, and from the start to the end. */
  readonly startsAfterMs?: number;
  readonly runsMs?: number;
  readonly policy?: Parameters<typeof newLife>[0];
  /** What was said of its delivery after the end, in order. */
  readonly deliveries?: readonly DeliveryState[];
};

/** The records of one event, made by the event model itself. */
export function historyOf(id: string, options: HistoryOptions): EventRecord[] {
  const { atMs, until = 'returned', fn = 'f', keyed = false, payload = '{"a":1}', startsAfterMs = 5, runsMs = 10 } = options;
  const life = newLife({ maxRetries: 0, ...options.policy });
  if (until !== 'accepted') {
    life.nowMs += startsAfterMs;
    life.run(1, { kind: 'ATTEMPT_STARTED', attempt: 1, started: { ...started, startTime: new Date(atMs + startsAfterMs) } });
  }
  if (until !== 'accepted' && until !== 'running') {
    life.nowMs += runsMs;
    life.run(1, { kind: 'ATTEMPT_ENDED', attempt: 1, ended: endedAs(until, atMs + startsAfterMs + runsMs), random: 0.5 });
  }
  for (const [i, state] of (options.deliveries ?? []).entries()) {
    const concluded = { state, attemptCount: i + 1, error: `failed ${i + 1}`, eventId: '' };
    life.run(0, { kind: 'DELIVERY_ATTEMPTED', attempted: concluded });
  }
  return life.records.map((record) => {
    const moved = (one: Date | undefined): Date => new Date((one?.getTime() ?? 0) - START_MS + atMs);
    const time = moved(record.time);
    if (record.change?.$case === 'attemptEnded' && record.change.value.retryTime) {
      const value = { ...record.change.value, retryTime: moved(record.change.value.retryTime) };
      return { ...record, eventId: id, time, change: { $case: 'attemptEnded', value } };
    }
    if (record.change?.$case !== 'accepted') return { ...record, eventId: id, time };
    const value = { ...record.change.value, function: fn, keyed, payload: Buffer.from(payload) };
    return { ...record, eventId: id, time, change: { $case: 'accepted', value } };
  });
}

/** The nth id of a test: in the order of their numbers, as a UUIDv7 of that millisecond. */
export function idOf(n: number, atMs: number): string {
  const hex = atMs.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`;
}
