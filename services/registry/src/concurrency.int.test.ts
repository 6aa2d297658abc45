import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { silentLog } from '@evenfall/telemetry';
import { type TestDatabase, testDatabase } from '@evenfall/testkit';
import { systemClock } from '@evenfall/time';
import { type RunningRegistry, startRegistry } from './service.ts';
import { pythonPackage } from './testing/zip-maker.ts';

describe('what is reserved and provisioned', () => {
  let db: TestDatabase;
  let running: RunningRegistry;
  const context = { signal: new AbortController().signal, header: () => undefined } as never; // what the operations read of their caller
  const reserve = (name: string, memoryMb?: number) =>
    running.functions.putReservedConcurrency({ namespace: 'default', name, memoryMb }, context);
  const provision = (name: string, instances: number, qualifier = '1') =>
    running.functions.putProvisionedConcurrency({ namespace: 'default', name, qualifier, instances }, context);
  const all = () => running.registry.getConcurrency({}, context);
  const make = async (name: string): Promise<void> => {
    const fn = { ...FunctionMessage.create(), namespace: 'default', name, runtime: 'python3', handler: 'index.main_handler' };
    await running.functions.createFunction({ function: fn, codeZip: pythonPackage() }, context);
    await running.functions.publishFunctionVersion({ namespace: 'default', name, description: '' }, context);
  };
  before(async () => {
    db = await testDatabase();
    running = await startRegistry({ sql: db.sql, log: silentLog, clock: systemClock }, { concurrencyMb: 10_000 });
    for (const name of ['fa', 'fb']) await make(name);
  });
  after(async () => {
    await running.stop();
    await db.drop();
  });

  it('is stored, returned as a whole, and changed', async () => {
    assert.deepEqual((await reserve('fa', 1_280)).reservedConcurrency, { memoryMb: 1_280, totalMb: 10_000, availableMb: 9_000 });
    const put = (await provision('fa', 10)).provisionedConcurrency;
    assert.deepEqual([put?.version, put?.instances], ['1', 10]);
    await provision('fb', 2);
    await assert.rejects(reserve('fb', 0), { reason: 'PROVISIONED_EXCEEDS_RESERVED' });
    const { totalMb, reservations, provisions } = await all();
    assert.deepEqual([totalMb, reservations], [10_000, [{ namespace: 'default', name: 'fa', memoryMb: 1_280 }]]);
    assert.deepEqual(
      provisions.map(({ function: fn, instances }) => [fn?.name, fn?.version, fn?.memoryMb, instances]),
      [
        ['fa', '1', 128, 10],
        ['fb', '1', 128, 2],
      ],
    );
    assert.ok((provisions[0]?.function?.revision ?? 0) > 0);
    const listed = await running.functions.getProvisionedConcurrency({ namespace: 'default', name: 'fa', qualifier: '' }, context);
    assert.deepEqual([listed.versions.map(({ version }) => version), listed.unallocatedMb], [['1'], 0]);
    await provision('fa', 4);
    await reserve('fa', 512);
    await running.functions.deleteProvisionedConcurrency({ namespace: 'default', name: 'fa', qualifier: '1' }, context);
    await running.functions.deleteReservedConcurrency({ namespace: 'default', name: 'fa' }, context);
    const none = await running.functions.getReservedConcurrency({ namespace: 'default', name: 'fa' }, context);
    assert.equal(none.reservedConcurrency?.memoryMb, undefined);
    assert.deepEqual((await all()).provisions.length, 1);
  });

  const refused: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ['nothing to reserve', () => reserve('fa'), 'INVALID_FIELD'],
    ['less than nothing', () => reserve('fa', -1), 'INVALID_FIELD'],
    ['more than there is', () => reserve('fa', 9_001), 'RESERVED_EXCEEDS_TOTAL'],
    ['a function that is not there', () => reserve('unknown', 1_280), 'FUNCTION_NOT_FOUND'],
    ['instances of $LATEST', () => provision('fa', 1, '$LATEST'), 'INVALID_FIELD'],
    ['no instances', () => provision('fa', 0), 'INVALID_FIELD'],
    ['more instances than there is memory for', () => provision('fa', 79), 'PROVISIONED_EXCEEDS_TOTAL'],
    ['a version that is not there', () => provision('fa', 1, '7'), 'QUALIFIER_NOT_FOUND'],
  ];
  for (const [name, ask, reason] of refused) it(`refuses ${name}`, () => assert.rejects(ask(), { reason }));

  it('never adds up to more than there is, with calls at the same time', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `many${i}`);
    for (const name of names) await make(name);
    const answers = await Promise.allSettled(names.map((name) => reserve(name, 1_280)));
    const accepted = answers.filter(({ status }) => status === 'fulfilled').length;
    assert.equal(accepted, 7, 'seven times 1,280 of 9,000 MB');
    for (const name of names) await running.functions.deleteReservedConcurrency({ namespace: 'default', name }, context);
  });

  it('goes with its function', async () => {
    await make('gone');
    await reserve('gone', 1_280);
    await provision('gone', 1);
    await running.functions.deleteFunction({ namespace: 'default', name: 'gone' }, context);
    const { reservations, provisions } = await all();
    assert.deepEqual([reservations.length, provisions.map(({ function: fn }) => fn?.name)], [0, ['fb']]);
  });
});
