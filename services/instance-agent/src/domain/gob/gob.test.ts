import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { callWriter, readInvokeReply, readReplyHead } from './messages.ts';
import { GobFault, gobReader, type GobRead } from './read.ts';
import { gobSplitter } from './split.ts';
import { gobInt, gobUint } from './write.ts';

/** Reads every value of a stream that comes in chunks. */
function readAll(chunks: readonly Buffer[], maxBytes = 1_000_000): GobRead[] {
  const reader = gobReader();
  const values: GobRead[] = [];
  const split = gobSplitter(maxBytes, (content) => {
    const value = reader.read(content);
    if (value !== undefined) values.push(value);
  });
  for (const chunk of chunks) split(chunk);
  return values;
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    chunks.push(bytes.subarray(at, at + cut));
    at += cut;
  }
  return chunks;
}

describe('Go’s gob', () => {
  it('writes numbers as the documentation of encoding/gob shows them', () => {
    assert.deepEqual([...gobUint(0)], [0]);
    assert.deepEqual([...gobUint(7)], [7]);
    assert.deepEqual([...gobUint(256)], [0xfe, 1, 0]);
    assert.deepEqual([...gobInt(-129)], [0xfe, 1, 1]);
  });

  it('writes a ping byte by byte as Go does', () => {
    const expected =
      '2fff8103010107526571756573740' + // the definition of Request, as a program of Go’s own wrote it
      '1ff8200010201' +
      '0d536572766963654d6574686f64010c000103536571010600000012ff82010d46756e6374696f6e2e50696e6700';
    const written = callWriter().ping(0).toString('hex');
    // Go numbered its type 65 too: the first that a program defines.
    assert.equal(written.slice(0, expected.length), expected);
  });

  it('reads what it wrote, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.string({ maxLength: 40 }),
        fc.integer({ min: 0, max: 0x7fffffff }),
        fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 }),
        (payload, text, number, cuts) => {
          const calls = callWriter();
          const request = {
            Payload: Buffer.from(payload),
            RequestId: text,
            TimeLimitInMs: number,
            Deadline: { Seconds: number, Nanos: 7 },
          };
          const bytes = Buffer.concat([calls.ping(0), calls.invoke(1, request), calls.invoke(2, request)]);
          const values = readAll(cutAt(bytes, cuts)) as Record<string, GobRead>[]; // heads and structs only
          assert.deepEqual(
            [0, 2, 4].map((at) => readReplyHead({ Seq: values[at]?.['Seq'] ?? 0n }).seq),
            [0, 1, 2],
          );
          for (const value of [values[3], values[5]]) {
            assert.deepEqual(value?.['Payload'] ?? Buffer.alloc(0), Buffer.from(payload));
            assert.equal(value?.['RequestId'] ?? '', text);
            assert.equal(value?.['TimeLimitInMs'] ?? 0, number);
            assert.equal((value?.['Deadline'] as Record<string, GobRead>)['Nanos'], 7); // a struct
          }
        },
      ),
    );
  });

  it('reads any bytes as what they are: a fault, or nothing yet', () => {
    const check = (bytes: Uint8Array): void => {
      try {
        for (const value of readAll([Buffer.from(bytes)], 100_000)) {
          readReplyHead(value);
          readInvokeReply(value);
        }
      } catch (error) {
        assert.ok(error instanceof GobFault, String(error));
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 2_000 });
    // Sound messages with a byte changed get further in.
    const sound = callWriter().invoke(1, { Payload: Buffer.from('abc'), RequestId: 'x', Deadline: { Seconds: 5, Nanos: 6 } });
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), (at, byte) => {
        const bytes = Buffer.from(sound);
        bytes[at] = byte;
        check(bytes);
      }),
      { numRuns: 3_000 },
    );
  });

  for (const [name, hex, text] of [
    ['a message longer than allowed', 'fd7fffff', /8388607 bytes/],
    ['a length of nine bytes', 'f7ffffffffffffffffff', /more than 4 bytes/],
    ['an undefined type', '03ff8400', /not defined/],
    ['a definition of a map', '05ff81040000', /array, a map/],
    ['a list longer than its message', '0aff81020100000102fcffffff', /ends in the middle|unknown field|too large|longer/],
  ] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => readAll([Buffer.from(hex, 'hex')], 1_000_000),
        (error: unknown) => error instanceof GobFault && text.test(error.message),
      );
    });
  }

  it('refuses a type that holds itself too often', () => {
    // A slice, type 65, of slices of type 65: every byte 1 opens another one.
    const definition = Buffer.from('0bff81020101 02ff8200 01ff820000'.replaceAll(' ', ''), 'hex');
    const value = Buffer.concat([Buffer.from('ff8200', 'hex'), Buffer.alloc(60, 1), Buffer.from([0])]);
    assert.throws(() => readAll([definition, gobUint(value.length), value]), GobFault);
  });
});
