// Whatever functions and agents say within the documented limits is appended, folded, listed and watched, on every log.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { ListEventsRequest, ListEventsResponse } from '@evenfall/contracts/v1/event_service';
import { type EventLog, openEmbeddedLog } from '@evenfall/event-log';
import { evolve, isFinal } from '@evenfall/event-model';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { silentLog } from '@evenfall/telemetry';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { testKafka } from '@evenfall/testkit/kafka';
import { newUuidV7 } from '@evenfall/time';
import { hostileEnd } from '../../../libs/event-model/src/testing/hostile.ts';
import { newLife, started, START_MS } from '../../../libs/event-model/src/testing/life.ts';
import { memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { newTopic, testLog } from '../../../libs/event-log/src/kafka/testing/open.ts';
import { type EventStore, startEventStore } from './service.ts';

const FOUR_MIB = 4 * 1024 * 1024;
const context = { signal: new AbortController().signal, header: () => undefined };

/** The records of an event whose attempts ended in these ways. */
function recordsOf(id: string, fn: string, ends: readonly AttemptResult[], payloadBytes: number): EventRecord[] {
  const life = newLife({ maxRetries: 8, retryIntervalMs: 1 });
  ends.forEach((ended, i) => {
    life.run(i + 1, { kind: 'ATTEMPT_STARTED', attempt: i + 1, started });
    life.run(i + 1, { kind: 'ATTEMPT_ENDED', attempt: i + 1, ended, random: 0 });
  });
  const nowMs = Date.now();
  return life.records.map((record) => {
    const time = new Date((record.time?.getTime() ?? 0) - START_MS + nowMs);
    if (record.change?.$case !== 'accepted') return { ...record, eventId: id, time };
    const value = { ...record.change.value, function: fn, payload: Buffer.alloc(payloadBytes, '1') };
    return { ...record, eventId: id, time, change: { $case: 'accepted', value } };
  });
}

const event = fc.record({
  ends: fc.array(hostileEnd, { minLength: 1, maxLength: 4 }),
  payloadBytes: fc.oneof(fc.constant(2), fc.integer({ min: 2, max: 1_048_576 })),
});

type LogOf = { readonly name: string; readonly runs: number; open(database: TestDatabase): Promise<EventLog> };

function anyRecords({ name, runs, open }: LogOf): void {
  describe(`any records within the limits: ${name}`, () => {
    let database: TestDatabase;
    let log: EventLog;
    let store: EventStore;
    before(async () => {
      database = await testDatabase();
      log = await open(database);
      const ports = {
        sql: database.sql,
        foldSql: database.sql,
        eventLog: log,
        registry: { recordAudit: async () => ({}), getGrantKeys: async () => ({ keys: [] }) },
        log: silentLog,
      };
      store = await startEventStore(ports, { retentionMs: 3_600_000, deadLetterRetentionMs: 3_600_000 });
    });
    after(async () => {
      await store.stop();
      await log.close();
      await database.drop();
    });

    it('are appended, folded, listed and watched', async () => {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 24 }), async (events) => {
          const fn = `f${round++}`;
          const partition = round % log.partitionCount;
          const histories = events.map(({ ends, payloadBytes }) => recordsOf(newUuidV7(), fn, ends, payloadBytes));
          const end = await log.append(partition, histories.flat());
          const position = { partition, endOffset: BigInt(end) };
          for (const history of histories) {
            const id = history[0]?.eventId ?? '';
            const expected = history.reduce<FoldedEvent | undefined>(evolve, undefined)?.event;
            const { event: got } = await store.api.getEvent({ eventId: id, after: [position] }, context);
            assert.deepEqual(
              [got?.state, got?.attempts.length, got?.result.length],
              [expected?.state, expected?.attempts.length, expected?.result.length],
            );
            if (!isFinal(expected?.state ?? State.QUEUED)) continue;
            const states: (State | undefined)[] = [];
            for await (const output of store.api.watchEvent({ id, afterVersion: 0 }, context)) states.push(output.event?.state);
            assert.equal(states[states.length - 1], expected?.state);
          }
          const listed: string[] = [];
          let pageToken = '';
          do {
            const query = ListEventsRequest.create({ namespace: 'default', function: fn, pageSize: 100, pageToken });
            const page = await store.api.listEvents(query, context);
            assert.ok(ListEventsResponse.encode(page).finish().length < FOUR_MIB);
            listed.push(...page.events.map(({ id }) => id));
            ({ nextPageToken: pageToken } = page);
          } while (pageToken !== '');
          assert.deepEqual(listed.sort(), histories.map(([first]) => first?.eventId ?? '').sort());
        }),
        { numRuns: runs },
      );
      const { totalSize } = await store.api.listPutAsideRecords({ pageSize: 0, pageToken: '' }, context);
      assert.equal(totalSize, 0n, 'nothing within the limits is put aside');
      assert.deepEqual(store.faults(), []);
    });
  });
}

const kafka = await testKafka();
after(() => kafka?.stop());
anyRecords({ name: 'in memory', runs: 25, open: async () => memoryLog() });
anyRecords({
  name: 'embedded',
  runs: 10,
  open: ({ sql }) => openEmbeddedLog({ sql, partitionCount: 4, onFailure: (error) => console.error(error) }),
});
if (kafka) anyRecords({ name: 'Kafka', runs: 6, open: () => testLog(kafka.brokers, newTopic(), { deadlineMs: 10_000 }) });
