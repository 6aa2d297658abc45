import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { records } from '../event-log.contract.ts';
import { createReader } from './reader.ts';

/** A reader whose subscriber answers when the test decides. */
function reading() {
  const calls: string[] = [];
  const failures: string[] = [];
  const moves: string[] = [];
  const gate = { owned: Promise.resolve(), isCurrent: true };
  const reader = createReader({
    subscriber: {
      name: 'test',
      async owned(partitions) {
        calls.push(`owned ${partitions.join(' ')}`);
        await gate.owned;
        return new Map(partitions.map((partition) => [partition, 5]));
      },
      async apply(batches) {
        calls.push(`apply ${batches.map((batch) => `${batch.partition}@${batch.firstOffset}+${batch.records.length}`).join(' ')}`);
      },
      lost: (partitions) => calls.push(`lost ${partitions.join(' ')}`),
    },
    bounds: async () => new Map([0, 1].map((partition) => [partition, { low: 0, high: 100 }])),
    isCurrent: () => gate.isCurrent,
    onFailure: (error) => failures.push(String(error)),
  });
  const fetching = {
    seek: (partition: number, offset: number) => moves.push(`seek ${partition} ${offset}`),
    pause: (partitions: readonly number[]) => moves.push(`pause ${partitions.join(' ')}`),
    resume: (partitions: readonly number[]) => moves.push(`resume ${partitions.join(' ')}`),
  };
  const receive = (partition: number, first: number, count: number): void =>
    reader.receive(partition, first, count, () => ({ partition, firstOffset: first, records: records('r', count) }));
  return { calls, failures, moves, gate, reader, fetching, receive };
}

describe('The reader of a group', () => {
  it('fetches nothing before the subscriber has said where it begins', async () => {
    const { calls, moves, reader, fetching, receive } = reading();
    reader.assign([0, 1], false, fetching);
    receive(0, 0, 3); // was under way
    await eventually(() => moves.includes('resume 1'));
    assert.deepEqual(moves, ['pause 0 1', 'seek 0 5', 'resume 0', 'seek 1 5', 'resume 1']);
    receive(0, 5, 2);
    receive(1, 4, 3); // fetched again from before
    await eventually(() => calls.some((call) => call.startsWith('apply')));
    await reader.stop();
    assert.deepEqual(calls, ['owned 0 1', 'apply 0@5+2 1@5+2', 'lost 0 1']);
  });

  it('ignores what was answered for partitions that were lost meanwhile', async () => {
    const { calls, gate, moves, reader, fetching, receive } = reading();
    let open: () => void = () => undefined;
    gate.owned = new Promise((resolve) => {
      open = resolve;
    });
    reader.assign([0, 1], false, fetching);
    await eventually(() => calls.length === 1);
    reader.assign([0], true, fetching);
    open();
    await eventually(() => moves.includes('resume 0'));
    receive(1, 5, 1);
    receive(0, 5, 1);
    await eventually(() => calls.includes('apply 0@5+1'));
    await reader.stop();
    assert.deepEqual(calls, ['owned 0 1', 'lost 1', 'lost 1', 'apply 0@5+1', 'lost 0']);
  });

  it('goes on where it was with what it keeps, and asks anew after a gap', async () => {
    const { calls, moves, reader, fetching, receive } = reading();
    reader.assign([0], false, fetching);
    await eventually(() => moves.includes('resume 0'));
    receive(0, 5, 3);
    await eventually(() => calls.includes('apply 0@5+3'));
    reader.assign([0], true, fetching);
    assert.deepEqual(moves.slice(-3), ['pause 0', 'seek 0 8', 'resume 0']);
    reader.assign([0], false, fetching);
    await eventually(() => moves.at(-2) === 'seek 0 5');
    await reader.stop();
    assert.deepEqual(calls, ['owned 0', 'apply 0@5+3', 'lost 0', 'owned 0', 'lost 0']);
  });

  it('applies nothing while it may not be the owner', async () => {
    const { calls, gate, moves, reader, fetching, receive } = reading();
    reader.assign([0], false, fetching);
    await eventually(() => moves.includes('resume 0'));
    gate.isCurrent = false;
    receive(0, 5, 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(calls, ['owned 0']);
    gate.isCurrent = true;
    reader.wake();
    await eventually(() => calls.includes('apply 0@5+1'));
    await reader.stop();
  });

  it('holds fetching back while much waits', async () => {
    const { calls, gate, moves, reader, fetching, receive } = reading();
    reader.assign([0], false, fetching);
    await eventually(() => moves.includes('resume 0'));
    gate.isCurrent = false;
    for (let at = 5; at < 10_005; at += 1_000) receive(0, at, 1_000);
    assert.equal(moves.at(-1), 'pause 0');
    gate.isCurrent = true;
    reader.wake();
    await eventually(() => moves.at(-1) === 'resume 0');
    assert.equal(moves.at(-2), 'seek 0 10005');
    await eventually(() => calls.filter((call) => call.startsWith('apply')).length === 5);
    await reader.stop();
  });

  it('fails loudly where the log has a hole, and begins anew', async () => {
    const { calls, failures, moves, reader, fetching, receive } = reading();
    reader.assign([0], false, fetching);
    await eventually(() => moves.includes('resume 0'));
    receive(0, 9, 1);
    await eventually(() => calls.length === 3);
    await reader.stop();
    assert.match(failures[0] ?? '', /lost offsets 5 to 8 of partition 0/);
    assert.deepEqual(calls, ['owned 0', 'lost 0', 'owned 0', 'lost 0']);
  });
});
