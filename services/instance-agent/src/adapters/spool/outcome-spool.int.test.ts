import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AttemptResult, type AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { outcomeSpool } from './outcome-spool.ts';

const outcome = (eventId: string, resultBytes = 2): AttemptReport => ({
  eventId,
  attempt: 1,
  report: { $case: 'ended', value: AttemptResult.create({ statusCode: 200, result: Buffer.alloc(resultBytes, '1') }) },
  partition: 7,
  grant: Buffer.from('a grant'),
  agentId: undefined,
});
const none = (): AttemptReport[] => [];

describe('The spool of outcomes', () => {
  let dir = '';
  let file = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'evenfall-spool-'));
    file = join(dir, 'spool');
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const idsOf = (): string[] =>
    outcomeSpool(file)
      .read()
      .map(({ eventId }) => eventId);

  it('has what was put in, until it is cleared', () => {
    const spool = outcomeSpool(file);
    assert.deepEqual(spool.read(), []);
    assert.ok(spool.append([outcome('a'), outcome('b')], none));
    assert.ok(spool.append([outcome('c')], none));
    assert.deepEqual(idsOf(), ['a', 'b', 'c']);
    assert.deepEqual(outcomeSpool(file).read()[0], outcome('a'));
    spool.clear();
    assert.deepEqual(idsOf(), []);
  });

  it('ends where a kill tore it, and goes on from there', () => {
    outcomeSpool(file).append([outcome('a'), outcome('b')], none);
    const content = readFileSync(file);
    for (const cut of [1, 7, 9]) {
      writeFileSync(file, content);
      appendFileSync(file, content.subarray(0, cut));
      assert.deepEqual(idsOf(), ['a', 'b']);
      assert.equal(statSync(file).size, content.length, 'the torn end is gone');
    }
    const broken = Buffer.from(content);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    writeFileSync(file, broken);
    const spool = outcomeSpool(file);
    assert.equal(spool.read().length, 1, 'a record that does not fit its checksum');
    spool.append([outcome('c')], none);
    assert.deepEqual(idsOf(), ['a', 'c']);
  });

  it('is written anew with what is still wanted before it grows large', () => {
    const spool = outcomeSpool(file);
    const large = 200 * 1024;
    for (let i = 0; i < 200; i++) assert.ok(spool.append([outcome(`e${i}`, large)], () => [outcome(`e${i - 1}`, large)]));
    assert.ok(statSync(file).size <= 17 * 1024 * 1024);
    assert.equal(idsOf().at(-1), 'e199');
  });
});
