import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { answerMessage, failureMessage, isAnswerTo, type Query, queryMessage, readQuery } from './dns.ts';

const name = (...labels: string[]): Buffer =>
  Buffer.concat([...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)), Buffer.of(0)]);
const question = (type = 1, kind = 1, of = name('example', 'org')): Buffer =>
  Buffer.concat([of, Buffer.of(type >> 8, type & 255, kind >> 8, kind & 255)]);
const query = (parts: { flags?: number; counts?: number[]; question?: Buffer; more?: Buffer } = {}): Buffer => {
  const header = Buffer.alloc(12);
  [4711, parts.flags ?? 0x100, ...(parts.counts ?? [1, 0, 0, 0])].forEach((value, at) => header.writeUInt16BE(value, at * 2));
  return Buffer.concat([header, parts.question ?? question(), parts.more ?? Buffer.alloc(0)]);
};
const opt = (udpBytes: number, flags = 0, data = Buffer.alloc(0)): Buffer => {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(41, 1);
  record.writeUInt16BE(udpBytes, 3);
  record.writeUInt16BE(flags, 7);
  record.writeUInt16BE(data.length, 9);
  return Buffer.concat([record, data]);
};
const read = (bytes: Buffer): Query => {
  const found = readQuery(bytes);
  return found !== 'NONE' && 'query' in found ? found.query : assert.fail('it is one');
};
/** The code that it is refused with. */
const refusal = (bytes: Buffer): number => {
  const found = readQuery(bytes);
  return found !== 'NONE' && 'refusal' in found ? found.refusal.readUInt16BE(2) & 15 : assert.fail('it is refused');
};

describe('A query for a name', () => {
  it('is written anew: nothing gets through but name, type and class', () => {
    const secret = Buffer.from('a cookie, a subnet, a key');
    const asked = queryMessage(read(query({ counts: [1, 0, 0, 1], more: opt(4096, 0x8000, secret) })), 7);
    assert.ok(!asked.includes(secret));
    assert.deepEqual(asked, Buffer.concat([Buffer.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1), question(), opt(1232, 0x8000)]));
    assert.deepEqual(
      queryMessage(read(query({ more: secret })), 7),
      Buffer.concat([Buffer.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), question()]),
    );
  });

  it('is nothing else: no update, notice, transfer or other class', () => {
    assert.equal(refusal(query({ flags: 5 << 11 })), 4);
    assert.equal(refusal(query({ flags: 4 << 11 })), 4);
    for (const type of [251, 252, 253, 254]) assert.equal(refusal(query({ question: question(type) })), 5);
    for (const kind of [3, 4, 255]) assert.equal(refusal(query({ question: question(16, kind) })), 5);
    for (const counts of [
      [0, 0, 0, 0],
      [2, 0, 0, 0],
      [1, 1, 0, 0],
      [1, 0, 1, 0],
    ])
      assert.equal(refusal(query({ counts })), 1);
    assert.equal(refusal(query({ question: Buffer.of(0xc0, 12, 0, 1, 0, 1) })), 1);
    assert.equal(refusal(query({ question: question(1, 1, name(...Array<string>(5).fill('x'.repeat(63)))) })), 1);
    assert.equal(readQuery(query({ flags: 0x8180 })), 'NONE', 'an answer');
    assert.equal(readQuery(Buffer.alloc(513)), 'NONE');
  });

  it('is answered by its own id and question alone', () => {
    const of = read(query());
    const answer = Buffer.concat([Buffer.of(0, 7, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0), question(1, 1, name('EXAMPLE', 'org'))]);
    assert.ok(isAnswerTo(of, 7, answer));
    assert.ok(!isAnswerTo(of, 8, answer));
    assert.ok(!isAnswerTo(of, 7, Buffer.concat([answer.subarray(0, 12), question(28)])));
    assert.ok(!isAnswerTo(of, 7, queryMessage(of, 7)));
    assert.equal(answerMessage(of, answer, 'UDP').readUInt16BE(0), 4711);
    assert.equal(failureMessage(of).readUInt16BE(2) & 15, 2);
  });

  it('gets no more by UDP than it accepts: what is longer is cut before its records, and marked', () => {
    const records = (bytes: number) =>
      Buffer.concat([Buffer.of(0, 7, 0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0), question(), Buffer.alloc(bytes)]);
    for (const [of, most] of [
      [read(query()), 512],
      [read(query({ counts: [1, 0, 0, 1], more: opt(700) })), 700],
      [read(query({ counts: [1, 0, 0, 1], more: opt(100) })), 512],
      [read(query({ counts: [1, 0, 0, 1], more: opt(65_535) })), 1232],
    ] as const) {
      const fits = records(most - records(0).length);
      assert.equal(answerMessage(of, fits, 'UDP').length, most);
      const cut = answerMessage(of, records(most), 'UDP');
      assert.deepEqual([cut.length, cut.readUInt16BE(2) & 0x200, cut.readUInt16BE(6)], [12 + of.question.length, 0x200, 0]);
      assert.equal(answerMessage(of, records(60_000), 'TCP').length, records(60_000).length);
    }
  });

  it('may be any bytes: what comes of them is short, and a query if anything', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const found = readQuery(Buffer.from(bytes));
        if (found === 'NONE') return;
        if ('refusal' in found) {
          assert.ok(found.refusal.length <= bytes.length && (found.refusal.readUInt16BE(2) & 0x8000) !== 0);
          return;
        }
        const again = readQuery(queryMessage(found.query, 1));
        assert.ok(again !== 'NONE' && 'query' in again);
        assert.deepEqual(again.query.question, found.query.question);
      }),
    );
  });
});
