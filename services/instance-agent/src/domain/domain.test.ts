import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { KillSignal, SignalScope, TerminationPolicy, TerminationStep_Disposition as Disposition } from '@evenfall/contracts/v1/termination';
import { attemptTimeoutMs } from '@evenfall/function-model';
import { durationOfMs } from '@evenfall/time';
import fc from 'fast-check';
import { dispositionOf, OUT_OF_SIGHT, parseProcStatus } from './disposition.ts';
import { encodeFrame, encodeInvokeHead, Frame, frameReader } from './frames.ts';
import { lineSplitter, MAX_LINE_BYTES } from './line-splitter.ts';
import { tailOfLog } from './render-log.ts';
import { planOf, resolvePolicy } from './termination-plan.ts';
import { outcomeOf } from './attempt-outcome.ts';

const policy = (fields: Partial<TerminationPolicy>): TerminationPolicy => ({ ...TerminationPolicy.create(), ...fields });

describe('A termination policy', () => {
  it('is SIGTERM and the rest of the timeout, at most 10 minutes', () => {
    assert.deepEqual(resolvePolicy(undefined, undefined, 1234), {
      killSignal: KillSignal.SIGTERM,
      graceMs: 1234,
      maxGraceMs: 600_000,
      escalation: [],
      scope: SignalScope.MAIN,
      exitMs: 10_000,
    });
    assert.equal(resolvePolicy(undefined, undefined, 3_600_000).graceMs, 600_000);
  });

  it('prefers the call, then the function', () => {
    const own = policy({
      killSignal: KillSignal.SIGINT,
      gracePeriod: durationOfMs(5000),
      maxGracePeriod: durationOfMs(8000),
      signalScope: SignalScope.GROUP,
    });
    assert.equal(resolvePolicy(undefined, own, 1).graceMs, 5000);
    const both = resolvePolicy(policy({ killSignal: KillSignal.SIGHUP, gracePeriod: durationOfMs(20_000) }), own, 1);
    assert.deepEqual([both.killSignal, both.graceMs, both.scope], [KillSignal.SIGHUP, 8000, SignalScope.GROUP]);
    assert.equal(resolvePolicy(policy({ gracePeriod: durationOfMs(0) }), own, 1).graceMs, 0);
  });

  it('is laid out in time', () => {
    const escalation = [{ signal: KillSignal.SIGINT, wait: durationOfMs(200) }];
    assert.deepEqual(planOf(resolvePolicy(policy({ gracePeriod: durationOfMs(100), escalation }), undefined, 0), 1000), {
      nowMs: 1000,
      steps: [
        { signal: KillSignal.SIGTERM, atMs: 1000 },
        { signal: KillSignal.SIGINT, atMs: 1100 },
      ],
      killAtMs: 1300,
      end: { kind: 'FORCE_KILLED' },
      limitMs: 601_000,
      limit: 'MAX_GRACE',
      scope: SignalScope.MAIN,
      exitMs: 10_000,
    });
  });

  it('sets how long processes may take to exit after the answer: the call first, then the function, then 10 s', () => {
    const exitOf = (call: Partial<TerminationPolicy> | undefined, own: Partial<TerminationPolicy> | undefined): number =>
      resolvePolicy(call && policy(call), own && policy(own), 1).exitMs;
    assert.equal(exitOf(undefined, undefined), 10_000);
    assert.equal(exitOf(undefined, { exitGrace: durationOfMs(2_000) }), 2_000);
    assert.equal(exitOf({ exitGrace: durationOfMs(500) }, { exitAfterAnswer: true }), 500);
    assert.equal(exitOf(undefined, { exitAfterAnswer: true, exitGrace: durationOfMs(2_000) }), 0);
    assert.equal(exitOf({ exitAfterAnswer: false }, { exitAfterAnswer: true }), 10_000);
    assert.equal(exitOf({ exitAfterAnswer: true }, undefined), 0);
  });
});

describe('A disposition', () => {
  const status = parseProcStatus(
    'Name:\tx y\nState:\tS (sleeping)\nVmHWM:\t    9216 kB\nVmRSS:\t 8192 kB\nSigBlk:\t0000000000000200\nSigIgn:\t0000000001001000\nSigCgt:\t0000000000004002\n',
  );
  it('is read from the kernel', () => {
    assert.deepEqual([status.state, status.peakBytes, status.residentBytes], ['S', 9_437_184, 8_388_608]);
    assert.equal(dispositionOf(15, status, undefined), Disposition.CAUGHT);
    assert.equal(dispositionOf(10, status, undefined), Disposition.BLOCKED);
    assert.equal(dispositionOf(13, status, undefined), Disposition.IGNORED);
    assert.equal(dispositionOf(12, status, undefined), Disposition.DEFAULT);
    assert.equal(dispositionOf(15, undefined, undefined), Disposition.UNKNOWN);
  });
  it('is unknown of a process that catches everything for itself, as Go does', () => {
    const go = parseProcStatus('State:\tS\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\tfffffffd7fc1feff\n');
    assert.equal(dispositionOf(15, go, undefined), Disposition.UNKNOWN);
    assert.equal(dispositionOf(9, go, undefined), Disposition.DEFAULT);
  });
  it('is unknown of a process out of sight, but for a listener and for what nothing can change', () => {
    assert.equal(dispositionOf(15, OUT_OF_SIGHT, undefined), Disposition.UNKNOWN);
    assert.equal(dispositionOf(15, OUT_OF_SIGHT, 0), Disposition.UNKNOWN);
    assert.equal(dispositionOf(15, OUT_OF_SIGHT, 1 << 14), Disposition.CAUGHT);
    assert.equal(dispositionOf(9, OUT_OF_SIGHT, undefined), Disposition.DEFAULT);
    assert.equal(dispositionOf(19, OUT_OF_SIGHT, undefined), Disposition.DEFAULT);
  });
  it('is refined by what the runtime reports', () => {
    assert.equal(dispositionOf(15, status, 0), Disposition.DEFAULT);
    assert.equal(dispositionOf(15, status, 1 << 14), Disposition.CAUGHT);
    assert.equal(dispositionOf(10, status, 1 << 9), Disposition.BLOCKED);
  });
});

describe('Frames', () => {
  it('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 40 }),
        (bodies, cuts) => {
          const bytes = Buffer.concat(bodies.map((body) => encodeFrame(Frame.RESULT, Buffer.from(body))));
          const got: Buffer[] = [];
          const push = frameReader((_, body) => got.push(Buffer.from(body)));
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            if (at >= bytes.length) break;
            assert.ok(push(bytes.subarray(at, at + cut)));
            at += cut;
          }
          if (at < bytes.length) push(bytes.subarray(at));
          assert.deepEqual(
            got,
            bodies.map((body) => Buffer.from(body)),
          );
        },
      ),
    );
  });
  it('of no length at all are refused', () => {
    assert.equal(frameReader(() => undefined)(Buffer.from('hello, I am no frame')), false);
  });
  it('carry the payload as it is', () => {
    let body = Buffer.alloc(0);
    const push = frameReader((_, each) => (body = Buffer.from(each)));
    push(Buffer.concat([encodeInvokeHead(7, 'id-1', 4), Buffer.from('null')]));
    assert.deepEqual([body.readUInt32LE(0), body.readUInt16LE(4), body.toString('latin1', 6)], [7, 4, 'id-1null']);
  });
});

describe('Lines', () => {
  it('are those of the text, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 12 })), fc.integer({ min: 1, max: 9 }), (texts, size) => {
        const lines = texts.map((text) => text.replace(/[\r\n]/g, '.'));
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const splitter = lineSplitter();
        const got: string[] = [];
        for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size), 0, (text) => got.push(text));
        splitter.flush((text) => got.push(text));
        assert.deepEqual(got, lines);
      }),
    );
  });
  /** Lines of a text that comes in pieces of every size. */
  const linesOf = (text: string): string[] => {
    const bytes = Buffer.from(text);
    const all = [1, 2, 3, 7, bytes.length].map((size) => {
      const splitter = lineSplitter();
      const got: string[] = [];
      for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size), 0, (line) => got.push(line));
      splitter.flush((line) => got.push(line));
      return got;
    });
    for (const got of all) assert.deepEqual(got, all[0]);
    return all[0] ?? [];
  };

  it('are cut at 8 KB, between characters, and are marked', () => {
    const [x, short, open] = linesOf(`${'x'.repeat(20_000)}\nshort\r\nopen`);
    assert.match(x ?? '', /^x+… \[cut from 20000 bytes\]$/);
    assert.ok(Buffer.byteLength(x ?? '') <= MAX_LINE_BYTES && Buffer.byteLength(x ?? '') > MAX_LINE_BYTES - 100);
    assert.deepEqual([short, open], ['short', 'open']);
    const [umlauts] = linesOf(`.${'é'.repeat(6_000)}\n`);
    assert.match(umlauts ?? '', /^\.é+… \[cut from 12001 bytes\]$/);
    assert.deepEqual(linesOf(`${'y'.repeat(MAX_LINE_BYTES)}\n`), ['y'.repeat(MAX_LINE_BYTES)]);
  });

  it('end where progress begins again', () => {
    assert.deepEqual(linesOf('\r  0 %\r 50 %\r100 %\ndone\n'), ['  0 %', ' 50 %', '100 %', 'done']);
    assert.deepEqual(linesOf('one\r\ntwo\r\n\r\n\n\nthree'), ['one', 'two', '', '', '', 'three']);
    assert.deepEqual(linesOf('old text\rnew text\n'), ['old text', 'new text']);
    assert.deepEqual(linesOf('a\r\r\r\nb\n'), ['a', 'b']);
  });

  it('that are open for long are shown, with the time they were begun', () => {
    const splitter = lineSplitter();
    const got: [string, number][] = [];
    const note = (text: string, _: number, timeMs: number): void => void got.push([text, timeMs]);
    splitter.push(Buffer.from('name? '), 1_000, note);
    splitter.flush(note, 1_000);
    assert.deepEqual(got, []);
    splitter.flush(note, 1_001);
    splitter.push(Buffer.from('Ada\n'), 5_000, note);
    assert.deepEqual(got, [
      ['name? ', 1_000],
      ['Ada', 5_000],
    ]);
  });
});

describe('A result', () => {
  it('has the code of SCF', () => {
    const of = (end: Parameters<typeof outcomeOf>[0]) => outcomeOf(end, undefined, 3000);
    assert.deepEqual(
      [of({ kind: 'TIMED_OUT' }).statusCode, of({ kind: 'TIMED_OUT' }).message],
      [433, 'Invoking task timed out after 3 seconds'],
    );
    assert.equal(of({ kind: 'OUT_OF_MEMORY' }).statusCode, 434);
    assert.equal(of({ kind: 'EXITED', exitCode: 1 }).statusCode, 439);
    assert.equal(of({ kind: 'DIED_OF', signal: 'SIGTERM' }).outcome, Outcome.DIED_OF);
    assert.equal(of({ kind: 'FORCE_KILLED' }).statusCode, 499);
    assert.equal(of({ kind: 'LOST' }).outcome, Outcome.LOST);
    assert.equal(of({ kind: 'START_FAILED', fault: { statusCode: 437, message: 'x' } }).statusCode, 437);
    assert.equal(outcomeOf({ kind: 'ANSWERED' }, { returned: true, statusCode: 200 }, 1).outcome, Outcome.RETURNED);
  });
});

describe('A time limit', () => {
  it('is the function’s timeout, and of a synchronous call at most 900 s', () => {
    assert.equal(attemptTimeoutMs(3_000, true), 3_000);
    assert.equal(attemptTimeoutMs(86_400_000, false), 86_400_000);
    assert.equal(attemptTimeoutMs(86_400_000, true), 900_000);
  });
});

describe('The log of a synchronous call', () => {
  it('has a tail of at most 4 KB, cut at a line', () => {
    const text = tailOfLog(Array.from({ length: 500 }, (_, i) => `line ${i}`));
    assert.ok(Buffer.byteLength(text) <= 4096);
    assert.match(text, /^line \d+\n/);
  });
});
