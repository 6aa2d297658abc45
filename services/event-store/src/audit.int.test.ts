import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { AuditRecord, AuditRecord_Api as Api } from '@evenfall/contracts/v1/audit_service';
import { refuse } from '@evenfall/errors';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { createAuditOutbox } from './adapters/postgres/audit-outbox.ts';
import { handOverAudit } from './loops/hand-over-audit.ts';
import { historyOf, idOf } from './testing/history.ts';
import { eachOnAnEmptySchema, type View } from './testing/view.ts';

const NOW = Date.now();

type State = { isAway: boolean; calls: number; refuses: (one: AuditRecord) => boolean };

function asked(n: number, more: Partial<AuditRecord> = {}): AuditRecord {
  const call = { keyId: 'ann', address: '192.0.2.7', api: Api.SCF, action: 'events.terminate', operation: 'TerminateAsyncEvent' };
  return {
    ...AuditRecord.create(),
    id: idOf(1_000 + n, NOW),
    time: new Date(NOW),
    ...call,
    namespace: 'default',
    subject: idOf(n, NOW),
    ...more,
  };
}

/** An event that is running, and the record of its termination. */
function terminated(n: number, audit: AuditRecord | null = asked(n), writerId = 'w'): EventRecord[] {
  const records = historyOf(idOf(n, NOW), { atMs: NOW - 10_000, until: 'running' });
  const value = { cause: 1 as const, mode: 1 as const, policy: undefined, requester: 'ann', reason: '', audit: audit ?? undefined };
  const change = { $case: 'terminationRequested' as const, value };
  return [...records, { eventId: idOf(n, NOW), attempt: 0, time: new Date(NOW), writerId, change }];
}

describe('terminations that were folded', () => {
  const { db, openView } = eachOnAnEmptySchema();

  /** A registry that keeps each record once, as it does, and may be away or refuse some. */
  function openRegistry() {
    const kept = new Map<string, AuditRecord>();
    const state: State = { isAway: false, calls: 0, refuses: () => false };
    const registry = {
      async recordAudit({ records }: { records: readonly AuditRecord[] }) {
        state.calls++;
        if (state.isAway) throw refuse('SERVICE_UNAVAILABLE', { detail: 'away' });
        if (records.some(state.refuses)) throw refuse('INVALID_FIELD', { field: 'records', rule: 'not this' });
        for (const one of records) kept.set(one.id, kept.get(one.id) ?? one);
        return {};
      },
    };
    return { kept, state, registry };
  }

  /** Runs the loop until nothing waits, or until the check holds. */
  async function handOver(registry: ReturnType<typeof openRegistry>['registry'], until?: () => boolean): Promise<void> {
    const outbox = createAuditOutbox(db.sql);
    const stopping = new AbortController();
    const running = handOverAudit({ outbox, registry, log: silentLog }).run(stopping.signal);
    await eventually(async () => (until ? until() : (await outbox.count()) === 0));
    stopping.abort();
    await running;
  }
  const waiting = () => createAuditOutbox(db.sql).count();

  it('come to the registry once, as what was done; no other termination does', async () => {
    const view = await openView();
    const odd = terminated(3, asked(3, { id: 'no-id' }));
    await view.fold(0, [...terminated(1), ...terminated(2, null), ...odd]);
    assert.ok(await view.events.getEvent(idOf(3, NOW)), 'what cannot be audited is folded all the same');
    const { kept, registry } = openRegistry();
    await handOver(registry);
    assert.deepEqual([...kept.values()], [asked(1, { outcome: 'OK' })]);
    const [row] = await db.sql<{ data: Buffer }[]>`SELECT data FROM events.open_event WHERE id = ${idOf(1, NOW)}`;
    assert.ok(row && !row.data.includes('192.0.2.7'), 'an event does not carry who asked from where');
  });

  it('wait in the database while the registry is away, and the fold goes on', async () => {
    const view = await openView();
    const { kept, state, registry } = openRegistry();
    state.isAway = true;
    const first = terminated(1);
    await view.fold(0, first);
    await handOver(registry, () => state.calls > 1);
    await view.fold(first.length, Array.from({ length: 1_200 }, (_, n) => terminated(n + 2)).flat());
    assert.equal(await waiting(), 1_201);
    assert.equal(kept.size, 0);
    state.isAway = false;
    await handOver(registry);
    assert.equal(kept.size, 1_201);
  });

  it('make no second record when the log is read again, nor when one call was written twice', async () => {
    const records = [...terminated(1), ...terminated(2), ...terminated(2).slice(-1)];
    const { kept, registry } = openRegistry();
    for (const round of [1, 2]) {
      const view: View = await openView();
      await view.fold(0, records);
      if (round === 2) await handOver(registry); // the first time it is not handed over before the view is made again
      await db.sql`TRUNCATE events.open_event, events.ended_event, events.applied`;
    }
    const view = await openView();
    await view.fold(0, records);
    await handOver(registry);
    assert.deepEqual([...kept.keys()].sort(), [asked(1).id, asked(2).id]);
  });

  it('count only if they are not fenced, and if their fold is written', async () => {
    const view = await openView();
    const other = await openView();
    const [accepted, started] = terminated(1);
    assert.ok(accepted && started);
    const takeover: EventRecord = { ...accepted, eventId: '', writerId: 'next', change: { $case: 'ownerChanged', value: {} } };
    const stale = terminated(1).slice(-1);
    const own = terminated(1, asked(9), 'next').slice(-1);
    await view.fold(0, [accepted, started, takeover, ...stale, ...own]);
    await assert.rejects(other.fold(0, terminated(5)), /Another event-store/);
    const { kept, registry } = openRegistry();
    await handOver(registry);
    assert.deepEqual([...kept.keys()], [asked(9).id]);
  });

  it('are not kept back by one that is refused for good', async () => {
    const view = await openView();
    await view.fold(0, [...terminated(1), ...terminated(2), ...terminated(3)]);
    const { kept, state, registry } = openRegistry();
    state.refuses = ({ id }) => id === asked(2).id;
    await handOver(registry);
    assert.deepEqual([...kept.keys()].sort(), [asked(1).id, asked(3).id]);
  });
});
