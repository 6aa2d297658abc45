import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { exampleZip, refusedWith, type ScfClient, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const WITHIN_MS = 60_000;

describe("concurrency by Tencent Cloud's SDK of SCF", { timeout: 180_000 }, () => {
  let stack: Stack;
  let client: ScfClient;
  const FunctionName = 'echo';
  before(async () => {
    stack = await startStack({ env: { EVENFALL_AGENT_CAPACITY_MB: '2048' } });
    client = scfClient(stack);
    const Code = { ZipFile: await exampleZip('echo') };
    await client.CreateFunction({ FunctionName, Runtime: 'Nodejs18.15', Handler: 'index.handler', Code });
    await client.PublishVersion({ FunctionName });
  });
  after(() => stack.dispose());
  const reserved = async () => (await client.GetReservedConcurrencyConfig({ FunctionName })).ReservedMem;

  it('reserves, shows, releases, and switches a function off', async () => {
    assert.equal(await reserved(), null);
    assert.deepEqual(Object.keys(await client.PutReservedConcurrencyConfig({ FunctionName, ReservedConcurrencyMem: 115_200 })), [
      'RequestId',
    ]);
    assert.equal(await reserved(), 115_200);
    const { AccountUsage } = await client.GetAccount();
    assert.deepEqual([AccountUsage?.TotalConcurrencyMem, AccountUsage?.TotalAllocatedConcurrencyMem], [128_000, 115_200]);
    const [listed] = (await client.ListFunctions({})).Functions ?? [];
    assert.deepEqual([listed?.ReservedConcurrencyMem, listed?.TotalProvisionedConcurrencyMem], [115_200, 0]);

    await client.PutReservedConcurrencyConfig({ FunctionName, ReservedConcurrencyMem: 0 });
    const throttled = await eventually(async () => {
      const { Result } = await client.Invoke({ FunctionName });
      return Result?.InvokeResult === 432 && Result;
    }, WITHIN_MS);
    assert.equal(throttled.ErrMsg, 'Function [ echo ] concurrency exceeded reserved quota 0 MB');
    await client.DeleteReservedConcurrencyConfig({ FunctionName });
    assert.equal(await reserved(), null);
    await eventually(async () => (await client.Invoke({ FunctionName })).Result?.InvokeResult === 0, WITHIN_MS);
  });

  it('keeps instances ready, and says how many are', async () => {
    const of = { FunctionName, Qualifier: '1' };
    await client.PutProvisionedConcurrencyConfig({ ...of, VersionProvisionedConcurrencyNum: 2, ProvisionedType: 'Default' });
    const done = await eventually(async () => {
      const answer = await client.GetProvisionedConcurrencyConfig({ FunctionName });
      if (answer.Allocated?.[0]?.Status !== 'Done') throw new Error(JSON.stringify(answer));
      return answer;
    }, WITHIN_MS);
    assert.deepEqual(done.Allocated, [
      {
        AllocatedProvisionedConcurrencyNum: 2,
        AvailableProvisionedConcurrencyNum: 2,
        Status: 'Done',
        StatusReason: '',
        Qualifier: '1',
        TriggerActions: [],
      },
    ]);
    assert.equal(done.UnallocatedConcurrencyNum, 998);
    const { Result } = await client.Invoke({ ...of, LogType: 'Tail' });
    assert.match(Result?.Log ?? '', /^Provisioned Report RequestId: /m);
    assert.equal((await client.ListFunctions({})).Functions?.[0]?.TotalProvisionedConcurrencyMem, 256);
    await refusedWith(
      'FailedOperation.ProvisionedExceedReserved',
      client.PutReservedConcurrencyConfig({ FunctionName, ReservedConcurrencyMem: 128 }),
    );
    await client.DeleteProvisionedConcurrencyConfig(of);
    assert.deepEqual((await client.GetProvisionedConcurrencyConfig(of)).Allocated, []);
  });

  const put = (more: object) =>
    client.PutProvisionedConcurrencyConfig({ FunctionName, Qualifier: '1', VersionProvisionedConcurrencyNum: 1, ...more });
  const refused: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    [
      'more than may be reserved',
      () => client.PutReservedConcurrencyConfig({ FunctionName, ReservedConcurrencyMem: 115_201 }),
      'LimitExceeded.FunctionReservedConcurrencyMemory',
    ],
    ['less than nothing', () => client.PutReservedConcurrencyConfig({ FunctionName, ReservedConcurrencyMem: -1 }), 'InvalidParameterValue'],
    [
      'a function that is not there',
      () => client.PutReservedConcurrencyConfig({ FunctionName: 'unknown', ReservedConcurrencyMem: 128 }),
      'ResourceNotFound.Function',
    ],
    ['the same to read', () => client.GetReservedConcurrencyConfig({ FunctionName: 'unknown' }), 'ResourceNotFound.Function'],
    ['the same to release', () => client.DeleteReservedConcurrencyConfig({ FunctionName: 'unknown' }), 'ResourceNotFound.Function'],
    ['$LATEST', () => put({ Qualifier: '$LATEST' }), 'InvalidParameterValue.Qualifier'],
    ['a version that is not there', () => put({ Qualifier: '9' }), 'ResourceNotFound.FunctionVersion'],
    ['more than there is', () => put({ VersionProvisionedConcurrencyNum: 1_001 }), 'FailedOperation.ProvisionedExceedAvailable'],
    ['no instance', () => put({ VersionProvisionedConcurrencyNum: 0 }), 'LimitExceeded.FunctionTotalProvisionedConcurrencyNum'],
    ['a type of its own', () => put({ ProvisionedType: 'Mine' }), 'InvalidParameterValue.ProvisionType'],
    ['a number that moves', () => put({ ProvisionedType: 'ConcurrencyUtilizationTracking', TrackingTarget: 0.5 }), 'UnsupportedOperation'],
  ];
  for (const [name, ask, code] of refused) it(`refuses ${name}: ${code}`, () => refusedWith(code, ask()).then(() => undefined));
});
