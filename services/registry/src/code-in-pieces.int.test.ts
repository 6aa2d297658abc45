import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  CreateFunctionRequest,
  FunctionServiceService,
  type StreamUpdateFunctionCodeRequest,
} from '@evenfall/contracts/v1/function_service';
import { type ClientOf, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { eventually, testDatabase, type TestDatabase } from '@evenfall/testkit';
import { fakeClock } from '@evenfall/time';
import { type RunningRegistry, startRegistry } from './service.ts';
import { pythonPackage } from './testing/zip-maker.ts';

const NAME = { namespace: 'default', name: 'killer' };

describe('Code that comes in pieces', () => {
  let db: TestDatabase;
  let running: RunningRegistry;
  let functions: ClientOf<typeof FunctionServiceService>;
  before(async () => {
    db = await testDatabase();
    running = await startRegistry({ sql: db.sql, log: silentLog, clock: fakeClock() }, {});
    functions = inProcessClient(FunctionServiceService, running.functions);
  });
  after(async () => {
    await running.stop();
    await db.drop();
  });
  beforeEach(async () => {
    await db.sql`DELETE FROM registry.function_version`;
    const fn = { ...NAME, runtime: 'python3', handler: 'index.main_handler' };
    await functions.createFunction(CreateFunctionRequest.create({ function: fn, codeZip: pythonPackage() }));
  });

  /** As the gateway sends it: with a last message that says that it was all. */
  const stream = (requests: AsyncIterable<StreamUpdateFunctionCodeRequest>) =>
    functions.streamUpdateFunctionCode(
      (async function* () {
        yield* requests;
        yield { namespace: '', name: '', chunk: Buffer.alloc(0) };
      })(),
    );

  it('is not taken where the stream ends before it is said that it is all', async () => {
    const { function: before } = await functions.getFunction({ ...NAME, qualifier: '' });
    const cut = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      yield { ...NAME, chunk: pythonPackage('# whole, and its caller was refused then') };
    };
    await assert.rejects(functions.streamUpdateFunctionCode(cut()), { reason: 'CANCELLED' });
    assert.deepEqual(await functions.getFunction({ ...NAME, qualifier: '' }), { function: before });
  });

  it('is taken whole, or nothing of it', async () => {
    const code = pythonPackage('# in pieces');
    const pieces = async function* (size: number, last?: object): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      for (let at = 0; at < code.length; at += size) yield { ...NAME, chunk: code.subarray(at, at + size) };
      if (last) yield { ...NAME, chunk: Buffer.from('x'), ...last };
    };
    const { function: fn } = await stream(pieces(10));
    assert.equal(fn?.codeSha256, createHash('sha256').update(code).digest('hex'));
    assert.equal(fn.codeSizeBytes, BigInt(code.length));
    assert.deepEqual(await stream(pieces(1_000_000)), { function: fn }, 'the same code again changes nothing');

    const large = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      for (let i = 0; i < 51; i++) yield { ...NAME, chunk: Buffer.alloc(1024 * 1024) };
    };
    const many = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      for (let i = 0; i < 5_000; i++) yield { ...NAME, chunk: Buffer.from('x') };
    };
    const broken = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      yield { ...NAME, chunk: code };
      throw new Error('the caller is gone');
    };
    const refusals: readonly (readonly [AsyncIterable<StreamUpdateFunctionCodeRequest>, object])[] = [
      [pieces(10, { name: 'another' }), { reason: 'INVALID_FIELD' }],
      [pieces(10, {}), { reason: 'INVALID_CODE_PACKAGE' }],
      [large(), { reason: 'CODE_PACKAGE_TOO_LARGE' }],
      [many(), { reason: 'INVALID_FIELD' }],
      [pieces(code.length * 2 - 1, { name: '' }), { reason: 'INVALID_FIELD' }],
      [(async function* () {})(), { reason: 'INVALID_FIELD' }],
      [broken(), { reason: 'INTERNAL' }],
    ];
    for (const [requests, refusal] of refusals) await assert.rejects(stream(requests), refusal);
    assert.deepEqual((await functions.getFunction({ ...NAME, qualifier: '' })).function, fn);
  });

  it('is kept for so many packages, and no more', async () => {
    const held = Promise.withResolvers<undefined>();
    let begun = 0;
    const slow = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      for (let i = 0; i < 49; i++) yield { ...NAME, chunk: Buffer.alloc(1024 * 1024) };
      begun++;
      await held.promise;
    };
    const waiting = Array.from({ length: 8 }, () => assert.rejects(stream(slow()), { reason: 'INVALID_CODE_PACKAGE' }));
    await eventually(() => begun === 8);
    await assert.rejects(stream(slow()), { reason: 'SERVICE_UNAVAILABLE' });
    held.resolve(undefined);
    await Promise.all(waiting);
    const code = pythonPackage('# after');
    const one = async function* (): AsyncGenerator<StreamUpdateFunctionCodeRequest> {
      yield { ...NAME, chunk: code };
    };
    assert.equal((await stream(one())).function?.codeSizeBytes, BigInt(code.length));
  });
});
