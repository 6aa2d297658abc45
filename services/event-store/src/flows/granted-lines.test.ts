import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { AppendLogLinesRequest, type LogGrant, type StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { createGrantChecker, createGrants, type Granted, grantedAttempt, grantedInstance, grantedPackage } from '@evenfall/grants';
import { fakeClock, newUuidV7 } from '@evenfall/time';
import fc from 'fast-check';
import { grantedLines } from './granted-lines.ts';

const key = randomBytes(32);
const grants = createGrants();
grants.use([key]);
const checker = createGrantChecker({ keys: async () => [key], clock: fakeClock() });
const sign = (granted: Granted, agentId = 'a'): Buffer => grants.sign(granted, agentId, 1_790_000_000_000).bytes;
const DIGEST = 'a'.repeat(64);
const [MINE, MY_CALL, MY_INSTANCE, OTHERS] = Array.from({ length: 4 }, newUuidV7) as [string, string, string, string];
const none = { partition: undefined, codeSha256: undefined };
const ofEvent = {
  eventId: MINE,
  attempt: 2,
  ...none,
  partition: 3,
  grant: sign(grantedAttempt({ eventId: MINE, attempt: 2, partition: 3 })),
};
const ofCall = { eventId: MY_CALL, attempt: 1, ...none, grant: sign(grantedAttempt({ eventId: MY_CALL, attempt: 1 })) };
const ofInstance = { eventId: MY_INSTANCE, attempt: 1, ...none, codeSha256: DIGEST, grant: sign(grantedPackage(MY_INSTANCE, DIGEST)) };
const GOOD: readonly LogGrant[] = [ofEvent, ofCall, ofInstance];

const lineOf = (eventId: string, attempt: number, more: Partial<StoredLogLine['line']> = {}, sequence = 1): StoredLogLine => ({
  eventId,
  sequence,
  line: { time: new Date(), stream: Stream.STDOUT, attempt, instanceId: 'i', text: 'x', ...more },
});
const stored = async (lines: StoredLogLine[], shown: readonly LogGrant[], agentId = 'a'): Promise<string[]> => {
  // As it comes over the wire.
  const request = AppendLogLinesRequest.decode(AppendLogLinesRequest.encode({ lines, grants: [...shown], agentId }).finish());
  return (await grantedLines(checker, request)).map(({ eventId, line }) => `${eventId}/${line?.attempt}`);
};
const MY_LINES = [lineOf(MINE, 2), lineOf(MY_CALL, 1), lineOf(MY_INSTANCE, 1)];
const MY_KEYS = [`${MINE}/2`, `${MY_CALL}/1`, `${MY_INSTANCE}/1`];

describe('lines by grants', () => {
  it('are stored of what the agent was given, beside any others, which are not', async () => {
    assert.deepEqual(await stored(MY_LINES, GOOD), MY_KEYS);
    assert.deepEqual(await stored(MY_LINES, GOOD, 'b'), []);
    assert.deepEqual(await stored(MY_LINES, []), []);
    const id = fc.constantFrom(MINE, MY_CALL, MY_INSTANCE, OTHERS, MINE.toUpperCase(), '', `${MINE}/2`);
    const attempt = fc.constantFrom(1, 2, 3, 0, -1);
    const anyLine = fc.record({ id, attempt }).map((one) => lineOf(one.id, one.attempt));
    const anyGrant = fc.record({
      eventId: id,
      attempt,
      partition: fc.constantFrom(undefined, 0, 3),
      codeSha256: fc.constantFrom(undefined, DIGEST, 'b'.repeat(64), ''),
      grant: fc.constantFrom(
        ...GOOD.map(({ grant }) => grant),
        Buffer.alloc(0),
        sign(grantedAttempt({ eventId: OTHERS, attempt: 1 }), 'b'),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyLine, { maxLength: 20 }), fc.array(anyGrant, { maxLength: 20 }), async (lines, shown) => {
        const all = await stored([...lines, ...MY_LINES], [...shown, ...GOOD]);
        for (const one of all) assert.ok(MY_KEYS.includes(one), one);
        assert.deepEqual(all.slice(-3), MY_KEYS);
      }),
      { numRuns: 500 },
    );
  });

  it('need the grant of an attempt or package, not that of an instance', async () => {
    const fn = { namespace: 'n', name: 'f', version: '1', revision: 1, memoryMb: 128 };
    const grant = sign(grantedInstance(MY_INSTANCE, fn));
    assert.deepEqual(await stored([lineOf(MY_INSTANCE, 1)], [{ ...ofInstance, grant }]), []);
    assert.deepEqual(await stored([lineOf(MY_INSTANCE, 2)], [{ ...ofInstance, attempt: 2 }]), []);
    assert.deepEqual(await stored([lineOf(MY_INSTANCE, 1)], [{ ...ofInstance, codeSha256: undefined }]), []);
  });

  it('are left out beyond their limits, and cut', async () => {
    const shown = [ofEvent];
    const bad = [
      lineOf(MINE, 2, { stream: 70_000 as Stream }),
      lineOf(MINE, 2, { stream: 0 }),
      lineOf(MINE, 2, {}, 0),
      lineOf(MINE, 2, {}, -1),
      lineOf(MINE, 2, {}, 20_001),
      lineOf(MINE, 2, { instanceId: 'i'.repeat(129) }),
      { ...lineOf(MINE, 2), line: undefined },
    ];
    assert.deepEqual(await stored([...bad, lineOf(MINE, 2)], shown), [`${MINE}/2`]);
    const [long] = await grantedLines(checker, {
      agentId: 'a',
      grants: shown,
      lines: [lineOf(MINE, 2, { text: '\u{1f600}'.repeat(100_000) })],
    });
    assert.ok(Buffer.byteLength(long?.line?.text ?? '') <= 16 * 1024 && (long?.line?.text ?? '').startsWith('\u{1f600}'));
    const field = (refused: string) => (error: { reason?: string; message: string }) =>
      error.reason === 'INVALID_FIELD' && error.message.includes(refused);
    await assert.rejects(
      stored(
        Array.from({ length: 1_001 }, () => lineOf(MINE, 2)),
        shown,
      ),
      field('lines'),
    );
    await assert.rejects(
      stored(
        [],
        Array.from({ length: 1_001 }, () => ofEvent),
      ),
      field('grants'),
    );
    for (const agentId of ['', 'a b', 'a\0', 'a'.repeat(129)]) await assert.rejects(stored([], [], agentId), field('agent_id'));
  });

  it('cost one HMAC for each attempt, not for each line', async () => {
    let checks = 0;
    const counting = { check: async (_agent: string, claims: readonly unknown[]) => ((checks += claims.length), claims.map(() => true)) };
    const lines = Array.from({ length: 1_000 }, (_, n) => lineOf(MINE, 2, {}, n + 1));
    assert.equal((await grantedLines(counting, { agentId: 'a', lines, grants: [ofEvent] })).length, 1_000);
    assert.equal(checks, 1);
  });
});
