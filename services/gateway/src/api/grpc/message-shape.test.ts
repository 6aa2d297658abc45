import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BatchCreateEventsRequest,
  CreateEventRequest,
  EventSubmission,
  StreamCreateEventsRequest,
} from '@evenfall/contracts/v1/event_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { CreateFunctionRequest } from '@evenfall/contracts/v1/function_service';
import fc from 'fast-check';
import { shapeFault } from './message-shape.ts';

const S = '/evenfall.v1.EventService/';
const MIB = 1024 * 1024;
const submission = (bytes: number, key = '') =>
  EventSubmission.create({ payload: Buffer.alloc(bytes, '1'), idempotencyKey: key, delay: { seconds: 5n, nanos: 1 } });
const batchOf = (submissions: EventSubmission[]) => ({ namespace: 'n'.repeat(60), function: 'f'.repeat(60), qualifier: 'q', submissions });

describe('the shape of a message', () => {
  it('is that of every honest one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 100 }),
        fc.string({ maxLength: 128 }),
        (sizes, key) => {
          const batch = batchOf(sizes.map((size) => submission(size, key)));
          assert.equal(shapeFault(`${S}BatchCreateEvents`, Buffer.from(BatchCreateEventsRequest.encode(batch).finish())), undefined);
          assert.equal(shapeFault(`${S}StreamCreateEvents`, Buffer.from(StreamCreateEventsRequest.encode({ batch }).finish())), undefined);
          const one = { namespace: 'n', function: 'f', qualifier: '', submission: submission(sizes[0] ?? 0, key) };
          assert.equal(shapeFault(`${S}CreateEvent`, Buffer.from(CreateEventRequest.encode(one).finish())), undefined);
        },
      ),
      { numRuns: 30 },
    );
    const full = batchOf(Array.from({ length: 1_000 }, () => submission(32_000, 'k'.repeat(128))));
    assert.equal(shapeFault(`${S}BatchCreateEvents`, Buffer.from(BatchCreateEventsRequest.encode(full).finish())), undefined);
    const environment = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`V${i}`, 'x']));
    const fn = FunctionMessage.create({ name: 'f', environment });
    const created = CreateFunctionRequest.encode({ function: fn, codeZip: Buffer.alloc(20 * MIB) }).finish();
    assert.equal(shapeFault('/evenfall.v1.FunctionService/CreateFunction', Buffer.from(created)), undefined);
  });

  it('is not that of many small parts, wherever they are, and is seen at once', () => {
    const many = (count: number, ...part: number[]) =>
      Buffer.concat(Array.from({ length: count / 1_000 }, () => Buffer.from(Array.from({ length: 1_000 }, () => part).flat())));
    const wrap = (field: number, bytes: Buffer): Buffer => {
      const head = [field * 8 + 2];
      for (let left = bytes.length; ; left = Math.floor(left / 128)) {
        head.push(left < 128 ? left : (left % 128) + 128);
        if (left < 128) break;
      }
      return Buffer.concat([Buffer.from(head), bytes]);
    };
    const submissions = many(1_000_000, 0x22, 0x00); // empty messages in field 4
    const delays = many(1_000_000, 0x1a, 0x00);
    for (const [method, bytes] of [
      [`${S}BatchCreateEvents`, submissions],
      [`${S}BatchCreateEvents`, wrap(4, delays)],
      [`${S}StreamCreateEvents`, wrap(1, submissions)],
      [`${S}StreamCreateEvents`, many(1_000_000, 0x0a, 0x00)],
      [`${S}CreateEvent`, wrap(4, delays)],
      ['/evenfall.v1.FunctionService/CreateFunction', many(1_000_000, 0x0a, 0x00)],
      ['/evenfall.v1.FunctionService/CreateFunction', Buffer.concat([wrap(1, submissions), wrap(1, submissions)])],
      [`${S}BatchCreateEvents`, Buffer.alloc(MIB, 0xff)],
      [`${S}BatchCreateEvents`, many(400_000, 0x0b)],
      [`${S}BatchCreateEvents`, Buffer.concat([Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(MIB)])],
    ] as const) {
      const began = process.threadCpuUsage(); // of this thread: how long it waits for a processor says nothing
      assert.equal(shapeFault(method, bytes)?.reason, 'INVALID_REQUEST', method);
      assert.ok(process.threadCpuUsage(began).user < 100_000);
    }
  });
});
