import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { exampleZip, refusedWith, type ScfClient, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { zipOf } from '../support/zip.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SECONDS = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
const MILLISECONDS = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/;
const UNKNOWN_ID = '01990000-0000-7000-8000-00000000dead';
/** A time as the API writes it: in Shanghai, eight hours ahead all year. */
const inShanghai = (ms: number): string => new Date(ms + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
const momentOf = (text: string): number => Date.parse(`${text.replace(' ', 'T')}+08:00`);

describe("Tencent Cloud's SDK of SCF", () => {
  let stack: Stack;
  let client: ScfClient;
  let killer: string;
  let echo: string;
  before(async () => {
    stack = await startStack();
    client = scfClient(stack);
    [killer, echo] = await Promise.all([exampleZip('graceful-killer'), exampleZip('echo')]);
    const Code = { ZipFile: echo };
    await client.CreateFunction({ FunctionName: 'echo', Runtime: 'Nodejs18.15', Handler: 'index.handler', Code });
  });
  after(() => stack.dispose());

  const invokeAsync = async (FunctionName: string, payload: unknown = {}): Promise<string> => {
    const { Result, RequestId } = await client.Invoke({ FunctionName, InvocationType: 'Event', ClientContext: JSON.stringify(payload) });
    assert.deepEqual(
      { ...Result, FunctionRequestId: '' },
      { Log: '', RetMsg: '', ErrMsg: '', MemUsage: 0, Duration: 0, BillDuration: 0, InvokeResult: 0, FunctionRequestId: '' },
    );
    assert.match(Result?.FunctionRequestId ?? '', UUID);
    assert.equal(RequestId, Result?.FunctionRequestId);
    return RequestId ?? '';
  };
  const statusOf = async (InvokeRequestId: string) => (await client.GetAsyncEventStatus({ InvokeRequestId })).Result;
  const reaches = (id: string, status: string) =>
    eventually(async () => {
      const result = await statusOf(id);
      if (result?.Status === status) return result;
      throw new Error(`${id} is ${result?.Status ?? ''} ${result?.StatusCode ?? ''}`);
    }, 15_000);
  const logOf = async (FunctionName: string, FunctionRequestId: string) =>
    (await client.GetFunctionLogs({ FunctionName, FunctionRequestId })).Data?.[0];

  it('has a whole life of a function: created, run, listed, terminated gracefully, its log read, deleted', async () => {
    const FunctionName = 'killer';
    const created = await client.CreateFunction({
      FunctionName,
      Code: { ZipFile: killer },
      Runtime: 'Python3.9',
      Handler: 'index.main_handler',
      Timeout: 7_200,
      AsyncRunEnable: 'TRUE',
      TraceEnable: 'TRUE',
      Environment: { Variables: [{ Key: 'MODE', Value: 'x' }] },
      Description: 'of the documents',
    });
    assert.deepEqual(Object.keys(created), ['RequestId']);
    const fn = await client.GetFunction({ FunctionName });
    assert.deepEqual(
      [fn.Status, fn.Runtime, fn.Type, fn.MemorySize, fn.Timeout, fn.InitTimeout, fn.AsyncRunEnable, fn.TraceEnable, fn.Namespace],
      ['Active', 'Python3.9', 'Event', 128, 7_200, 65, 'TRUE', 'TRUE', 'default'],
    );
    assert.deepEqual([fn.FunctionVersion, fn.Qualifier, fn.CodeResult, fn.ErrNo], ['$LATEST', '$LATEST', 'success', 0]);
    assert.deepEqual(fn.Environment, { Variables: [{ Key: 'MODE', Value: 'x' }] });
    assert.match(fn.AddTime ?? '', SECONDS);
    assert.match(fn.FunctionId ?? '', /^lam-[a-z0-9]{8}$/);

    const began = Date.now();
    const id = await invokeAsync(FunctionName);
    assert.deepEqual(await statusOf(id), { Status: 'RUNNING', StatusCode: 0, InvokeRequestId: id });
    await eventually(async () => /^False$/m.test((await logOf(FunctionName, id))?.Log ?? ''), 15_000);
    const running = await client.ListAsyncEvents({ FunctionName, Status: ['RUNNING'] });
    const [event] = running.EventList;
    assert.equal(running.TotalCount, 1);
    assert.deepEqual(
      { ...event, StartTime: '' },
      { InvokeRequestId: id, InvokeType: 'OTHERS', Qualifier: '$LATEST', Status: 'RUNNING', StartTime: '', EndTime: '' },
    );
    assert.match(event?.StartTime ?? '', MILLISECONDS);
    assert.ok(Math.abs(momentOf(event?.StartTime ?? '') - began) < 10_000, 'times are those of Shanghai');
    const asked = await client.GetRequestStatus({ FunctionName, FunctionRequestId: id });
    assert.deepEqual([asked.TotalCount, asked.Data?.[0]?.RetCode, asked.Data?.[0]?.RequestId], [1, 1, id]);
    assert.deepEqual([(await logOf(FunctionName, id))?.RetCode, (await logOf(FunctionName, id))?.InvokeFinished], [2, 0]);

    const stopped = await client.TerminateAsyncEvent({ FunctionName, InvokeRequestId: id, GraceShutdown: true });
    assert.deepEqual(Object.keys(stopped), ['RequestId']);
    assert.deepEqual(await reaches(id, 'ABORTED'), { Status: 'ABORTED', StatusCode: 200, InvokeRequestId: id });
    const log = await logOf(FunctionName, id);
    assert.deepEqual([log?.RetCode, log?.InvokeFinished, log?.RetMsg, log?.RetryNum], [3, 1, '"END"', 0]);
    assert.match(log?.StartTime ?? '', SECONDS);
    const lines = (log?.Log ?? '').split('\n').filter((line) => !/^(True|False)$/.test(line));
    assert.deepEqual(
      lines.map((line) => line.replace(/(Init Report RequestId: \S+) .*/, '$1').replace(/(Duration:).*/, '$1')),
      [
        `START RequestId: ${id}`,
        `Init Report RequestId: ${id}`,
        '[PLATFORM] Signal received successfully',
        'do something before shutdown.',
        'Graceful shutdown.',
        `Response RequestId:${id} RetMsg:"END"`,
        `END RequestId:${id}`,
        `Report RequestId:${id} Duration:`,
        '',
      ],
    );
    const message = await refusedWith(
      'FailedOperation.AsyncEventStatus',
      client.TerminateAsyncEvent({ FunctionName, InvokeRequestId: id }),
    );
    assert.equal(message, 'This operation is not supported by the current async event status. Please try again later.');

    await client.DeleteFunction({ FunctionName });
    await refusedWith('ResourceNotFound.Function', client.GetFunction({ FunctionName }));
    assert.equal((await client.ListAsyncEvents({ FunctionName })).TotalCount, 1, 'its events are kept');
  });

  it('stops by force by default; what runs asynchronously is never waited for', async () => {
    const FunctionName = 'forced';
    await client.CreateFunction({ FunctionName, Code: { ZipFile: killer }, Runtime: 'Python3.6', AsyncRunEnable: 'TRUE' });
    const { Result } = await client.Invoke({ FunctionName });
    const id = Result?.FunctionRequestId ?? '';
    assert.equal(Result?.RetMsg, '');
    await client.TerminateAsyncEvent({ FunctionName, InvokeRequestId: id, Namespace: 'default' });
    assert.deepEqual(await statusOf(id), { Status: 'ABORTED', StatusCode: 499, InvokeRequestId: id });
    const text = 'The specified `AsyncEvent` was not found. Please create it and try again.';
    for (const wrong of [
      { FunctionName, InvokeRequestId: UNKNOWN_ID },
      { FunctionName, InvokeRequestId: 'x' },
      { FunctionName: 'echo', InvokeRequestId: id },
    ])
      assert.equal(await refusedWith('ResourceNotFound.AsyncEvent', client.TerminateAsyncEvent(wrong)), text);
    await refusedWith('ResourceNotFound.AsyncEvent', client.GetAsyncEventStatus({ InvokeRequestId: UNKNOWN_ID }));
    await refusedWith('ResourceNotFound.Function', client.TerminateAsyncEvent({ FunctionName: 'unknown', InvokeRequestId: UNKNOWN_ID }));
    await client.DeleteFunction({ FunctionName });
  });

  it('calls and waits: the result, the log, the failure inside', async () => {
    const answer = await client.Invoke({ FunctionName: 'echo', ClientContext: '{"n": 1.0, "s": "é"}', LogType: 'Tail' });
    const { Result } = answer;
    assert.deepEqual([Result?.RetMsg, Result?.ErrMsg, Result?.InvokeResult], ['{"n":1,"s":"é"}', '', 0]);
    assert.match(Result?.Log ?? '', /^START RequestId: .*\n[^]*Report RequestId:/);
    assert.notEqual(answer.RequestId, Result?.FunctionRequestId);
    assert.ok((Result?.MemUsage ?? 0) > 1_000_000 && (Result?.Duration ?? 0) > 0 && Number.isInteger(Result?.BillDuration));
    const again = await client.InvokeFunction({ FunctionName: 'echo', Event: '[1]' });
    assert.deepEqual([again.Result?.RetMsg, again.Result?.Log], ['[1]', '']);
    assert.equal((await client.Invoke({ FunctionName: 'echo' })).Result?.RetMsg, '{}');

    const code = await zipOf({ 'index.js': 'exports.main_handler = () => { console.log("about to"); throw new Error("no"); };' });
    await client.CreateFunction({ FunctionName: 'throws', Code: { ZipFile: code.toString('base64') }, Runtime: 'Nodejs16.13' });
    const failed = (await client.Invoke({ FunctionName: 'throws' })).Result;
    assert.equal(failed?.InvokeResult, 430);
    const error = JSON.parse(failed?.RetMsg ?? '') as Record<string, unknown>;
    assert.deepEqual([error['statusCode'], error['errorMessage']], [430, failed?.ErrMsg]);
    const id = failed?.FunctionRequestId ?? '';
    const log = await eventually(() => logOf('throws', id), 5_000);
    assert.match(log?.Log ?? '', /about to/);
    assert.deepEqual([log?.RetCode, log?.InvokeFinished], [430, 1]);
    const [status] = (await client.GetRequestStatus({ FunctionName: 'throws', FunctionRequestId: id })).Data ?? [];
    assert.deepEqual([status?.RetCode, status?.FunctionName], [-1, 'throws']);
    assert.deepEqual((await client.GetRequestStatus({ FunctionName: 'throws', FunctionRequestId: UNKNOWN_ID })).TotalCount, 0);
  });

  it('refuses calls with the codes that are documented', async () => {
    const FunctionName = 'echo';
    const large = JSON.stringify('x'.repeat(128 * 1024));
    await refusedWith('ResourceNotFound.Function', client.Invoke({ FunctionName: 'unknown' }));
    await refusedWith('ResourceNotFound.Qualifier', client.Invoke({ FunctionName, Qualifier: '99' }));
    await refusedWith('InvalidParameter.FunctionName', client.Invoke({ FunctionName: 'not a name' }));
    await refusedWith('InvalidParameterValue.Param', client.Invoke({ FunctionName, ClientContext: '{' }));
    await refusedWith('InvalidParameterValue.Param', client.Invoke({ FunctionName, InvocationType: 'DryRun' }));
    await refusedWith('InvalidParameterValue.ClientContext', client.InvokeFunction({ FunctionName, Event: '{' }));
    await refusedWith('InvalidParameter.RequestTooLarge', client.Invoke({ FunctionName, InvocationType: 'Event', ClientContext: large }));
    await refusedWith(
      'InvalidParameter.RequestTooLarge',
      client.Invoke({ FunctionName, ClientContext: JSON.stringify('x'.repeat(6 * 1024 * 1024)) }),
    );
    await refusedWith('RequestSizeLimitExceeded', client.Invoke({ FunctionName, ClientContext: 'x'.repeat(17 * 1024 * 1024) }));
    assert.equal((await client.Invoke({ FunctionName, ClientContext: large })).Result?.RetMsg, large, 'what is waited for may be larger');
    const unknown = await refusedWith('UnknownParameter', client.Invoke({ FunctionName, Event: '{}' } as never));
    assert.equal(unknown, 'The parameter `Event` is not recognized.');
    const missing = await refusedWith('MissingParameter', client.ListAsyncEvents({} as never));
    assert.equal(missing, 'The request is missing a required parameter `FunctionName`.');
    await refusedWith('InvalidParameter', client.ListAsyncEvents({ FunctionName, Limit: '5' } as never));
    for (const action of ['CopyFunction', 'ListLayers', 'CreateAlias', 'constructor'])
      await refusedWith('InvalidAction', client.request(action, {}, {}));
    for (const namespaces of [
      client.ListNamespaces({}),
      client.CreateNamespace({ Namespace: 'other' }),
      client.DeleteNamespace({ Namespace: 'other' }),
    ])
      await refusedWith('UnsupportedOperation', namespaces);
    await refusedWith('FailedOperation.DeleteNamespace', client.DeleteNamespace({ Namespace: 'default' }));
  });

  it('lists events by status, type, version and time, in pages that are numbered and counted', async () => {
    const FunctionName = 'listed';
    await client.CreateFunction({
      FunctionName,
      Code: { ZipFile: echo },
      Runtime: 'Nodejs18.15',
      Handler: 'index.handler',
      Namespace: 'other',
    });
    const of = { FunctionName, Namespace: 'other' };
    assert.deepEqual((await client.ListAsyncEvents(of)).EventList, []);
    await client.PublishVersion(of);
    const began = Math.floor(Date.now() / 1_000) * 1_000;
    const ids: string[] = [];
    for (let n = 0; n < 25; n++)
      ids.push((await client.Invoke({ ...of, InvocationType: 'Event', Qualifier: n < 5 ? '1' : '$LATEST' })).RequestId ?? '');
    await eventually(async () => (await client.ListAsyncEvents({ ...of, Status: ['FINISHED'] })).TotalCount === 25, 20_000);

    const first = await client.ListAsyncEvents(of);
    assert.deepEqual([first.TotalCount, first.EventList.length], [25, 20], 'twenty by default');
    const all = (await client.ListAsyncEvents({ ...of, Limit: 100 })).EventList;
    assert.deepEqual(
      all.map(({ InvokeRequestId }) => InvokeRequestId),
      ids.toReversed(),
      'the newest first by default, in the order they came',
    );
    for (const { EndTime } of all) assert.match(EndTime, MILLISECONDS);
    const paged: string[] = [];
    for (let Offset = 0; Offset < 30; Offset += 10) {
      const page = await client.ListAsyncEvents({ ...of, Offset, Limit: 10 });
      assert.equal(page.TotalCount, 25);
      paged.push(...page.EventList.map(({ InvokeRequestId }) => InvokeRequestId));
    }
    assert.deepEqual(
      paged,
      all.map(({ InvokeRequestId }) => InvokeRequestId),
    );
    const byEnd = (await client.ListAsyncEvents({ ...of, Orderby: 'EndTime', Order: 'ASC', Limit: 100 })).EventList.map(
      ({ EndTime }) => EndTime,
    );
    assert.deepEqual(byEnd, [...byEnd].sort());

    const count = async (more: object): Promise<number> => (await client.ListAsyncEvents({ ...of, ...more })).TotalCount;
    assert.equal(await count({ Qualifier: '1' }), 5);
    assert.equal(await count({ Qualifier: '$DEFAULT' }), 20);
    assert.equal(await count({ Status: ['RUNNING', 'ABORTED', 'FAILED'] }), 0);
    assert.equal(await count({ InvokeType: ['OTHERS', 'COS'] }), 25);
    assert.equal(await count({ InvokeType: ['TRIGGER_TIMER'] }), 0);
    assert.equal(await count({ InvokeRequestId: ids[3] }), 1);
    assert.equal(await count({ InvokeRequestId: UNKNOWN_ID }), 0);
    const [Start, End] = [inShanghai(began), inShanghai(Date.now() + 1_000)];
    assert.equal(await count({ StartTimeInterval: { Start, End } }), 25);
    assert.equal(await count({ StartTimeInterval: { Start: inShanghai(began - 60_000), End: Start } }), 0, 'the end is not in it');
    assert.equal(await count({ EndTimeInterval: { Start, End } }), 25);
    await refusedWith(
      'InvalidParameterValue.DateTime',
      client.ListAsyncEvents({ ...of, StartTimeInterval: { Start: '2020-12-01T00:00:00', End } }),
    );
    await refusedWith('InvalidParameterValue.Limit', client.ListAsyncEvents({ ...of, Limit: 101 }));
    await refusedWith('InvalidParameterValue.Status', client.ListAsyncEvents({ ...of, Status: ['QUEUED'] }));
    await refusedWith('InvalidParameterValue.InvokeType', client.ListAsyncEvents({ ...of, InvokeType: ['api'] }));
    await refusedWith('InvalidParameterValue.Order', client.ListAsyncEvents({ ...of, Order: 'desc' }));
    await refusedWith('InvalidParameterValue.FunctionName', client.ListAsyncEvents({ FunctionName: 'x' }));
    await refusedWith('InvalidParameterValue.Namespace', client.ListAsyncEvents({ FunctionName, Namespace: '-' }));
    await refusedWith('ResourceNotFound.Function', client.ListAsyncEvents({ FunctionName: 'unknown' }));
    await refusedWith('ResourceNotFound.Version', client.ListAsyncEvents({ ...of, Qualifier: '2' }));

    const logs = await client.GetFunctionLogs({
      ...of,
      StartTime: Start,
      EndTime: End,
      Filter: { RetCode: 'is0' },
      Limit: 2,
      Order: 'asc',
    });
    assert.deepEqual([logs.TotalCount, logs.Data?.length, logs.Data?.[0]?.RetCode], [25, 2, 0]);
    assert.match(logs.Data?.[0]?.Log ?? '', /^START RequestId/);
    await refusedWith('LimitExceeded.Offset', client.GetFunctionLogs({ ...of, Offset: 9_999 }));
    await refusedWith('InvalidParameterValue.StartTimeOrEndTime', client.GetFunctionLogs({ ...of, StartTime: Start }));
  });

  it('keeps functions as SCF describes them', async () => {
    const FunctionName = 'kept';
    const Code = { ZipFile: echo };
    const fn = { FunctionName, Code, Runtime: 'Nodejs12.16', Handler: 'index.handler' };
    await client.CreateFunction(fn);
    const defaults = await client.GetFunction({ FunctionName });
    assert.deepEqual([defaults.MemorySize, defaults.Timeout, defaults.AsyncRunEnable, defaults.Runtime], [128, 3, 'FALSE', 'Nodejs12.16']);
    assert.equal(await refusedWith('ResourceInUse.FunctionName', client.CreateFunction(fn)), 'This FunctionName already exists.');
    const settings = {
      FunctionName,
      MemorySize: 256,
      Timeout: 10,
      Description: 'd',
      Environment: { Variables: [{ Key: 'A', Value: '1' }] },
    };
    await client.UpdateFunctionConfiguration({ ...settings, VpcConfig: { VpcId: '', SubnetId: '' } });
    await client.UpdateFunctionConfiguration({ FunctionName, InitTimeout: 30, Publish: 'TRUE' });
    const { MemorySize, Timeout, Description, Environment, InitTimeout } = await client.GetFunction({ FunctionName });
    assert.deepEqual({ FunctionName, MemorySize, Timeout, Description, Environment }, settings);
    assert.equal(InitTimeout, 30);
    const code = await zipOf({ 'main.js': 'exports.run = () => "new";' });
    await client.UpdateFunctionCode({ FunctionName, ZipFile: code.toString('base64'), Handler: 'main.run' });
    assert.equal((await client.Invoke({ FunctionName })).Result?.RetMsg, '"new"');
    assert.equal((await client.Invoke({ FunctionName, Qualifier: '1' })).Result?.RetMsg, '{}');
    await refusedWith('InvalidParameterValue.ZipFile', client.UpdateFunctionCode({ FunctionName, Code, Handler: 'other.run' }));
    assert.equal((await client.GetFunction({ FunctionName })).Handler, 'main.run', 'a refused update changes nothing');

    const published = await client.PublishVersion({ FunctionName, Description: 'second' });
    assert.deepEqual(
      { ...published, RequestId: '', CodeSize: 0 },
      {
        ...{ FunctionVersion: '2', CodeSize: 0, MemorySize: 256, Description: 'second', Handler: 'main.run', Timeout: 10 },
        ...{ Runtime: 'Nodejs12.16', Namespace: 'default', RequestId: '' },
      },
    );
    const versions = await client.ListVersionByFunction({ FunctionName });
    assert.deepEqual([versions.FunctionVersion, versions.TotalCount], [['$LATEST', '2', '1'], 3]);
    assert.deepEqual([versions.Versions?.[1]?.Description, versions.Versions?.[1]?.Status], ['second', 'Active']);
    assert.deepEqual((await client.ListVersionByFunction({ FunctionName, Offset: 1, Limit: 1 })).FunctionVersion, ['2']);
    await refusedWith('ResourceNotFound.Version', client.GetFunction({ FunctionName, Qualifier: '3' }));

    const listed = await client.ListFunctions({ SearchKey: 'E', Orderby: 'FunctionName', Order: 'ASC', Limit: 1, Offset: 1 });
    assert.deepEqual([listed.TotalCount, listed.Functions?.map((fn) => fn.FunctionName)], [2, ['kept']]);
    const Filters = [{ Name: 'Runtime', Values: ['Nodejs12.16', 'Go1'] }];
    assert.deepEqual((await client.ListFunctions({ Filters })).Functions?.length, 1);
    await refusedWith('InvalidParameterValue.Limit', client.ListFunctions({ Limit: 101 }));

    const config = await client.GetFunctionEventInvokeConfig({ FunctionName });
    assert.deepEqual(config.AsyncTriggerConfig, { RetryConfig: [{ RetryNum: 2 }, { RetryNum: -1 }], MsgTTL: 21_600 });
    const wanted = { RetryConfig: [{ RetryNum: 1 }], MsgTTL: 3_600 };
    await client.UpdateFunctionEventInvokeConfig({ FunctionName, AsyncTriggerConfig: wanted });
    const { AsyncTriggerConfig: changed } = await client.GetFunctionEventInvokeConfig({ FunctionName });
    assert.deepEqual(changed, { RetryConfig: [{ RetryNum: 1 }, { RetryNum: -1 }], MsgTTL: 3_600 });
    const change = (RetryNum: number, MsgTTL: number, more: object[] = []) =>
      client.UpdateFunctionEventInvokeConfig({
        FunctionName,
        AsyncTriggerConfig: { RetryConfig: [{ RetryNum }, ...more] as never, MsgTTL },
      });
    await refusedWith('LimitExceeded.RetryNum', change(3, 3_600));
    await refusedWith('LimitExceeded.MsgTTL', change(1, 59));
    await refusedWith('InvalidParameterValue.AsyncTriggerConfig', change(1, 60, [{ RetryNum: 0 }]));
    const { AccountLimit, AccountUsage } = await client.GetAccount();
    assert.deepEqual([AccountLimit?.Namespace?.[0]?.MaxMsgTTL, AccountUsage?.TotalConcurrencyMem], [21_600, 128_000]);
    await refusedWith('UnsupportedOperation', client.DeleteFunction({ FunctionName, Qualifier: '1' }));
    await client.DeleteFunction({ FunctionName });
  });

  it('refuses functions with the codes that are documented', async () => {
    const fn = { FunctionName: 'never', Code: { ZipFile: echo }, Runtime: 'Nodejs18.15', Handler: 'index.handler' };
    const cases: readonly (readonly [string, object])[] = [
      ['InvalidParameterValue.FunctionName', { FunctionName: 'ends-' }],
      ['InvalidParameterValue.Namespace', { Namespace: '9' }],
      ['InvalidParameterValue.Runtime', { Runtime: 'Php8.0' }],
      ['InvalidParameterValue.Runtime', { Runtime: 'Perl5', Type: 'HTTP' }],
      ['InvalidParameterValue.Runtime', { Runtime: 'Python2.7' }],
      ['MissingParameter.Runtime', { Runtime: undefined }],
      ['MissingParameter.Code', { Code: undefined }],
      ['InvalidParameterValue.Handler', { Handler: 'no dots' }],
      ['InvalidParameterValue.MemorySize', { MemorySize: 130 }],
      ['LimitExceeded.Memory', { MemorySize: 1_000_000 }],
      ['LimitExceeded.Timeout', { Timeout: 901 }],
      ['LimitExceeded.Timeout', { Timeout: 86_401, AsyncRunEnable: 'TRUE' }],
      ['LimitExceeded.InitTimeout', { InitTimeout: 301 }],
      ['InvalidParameterValue.Description', { Description: 'x'.repeat(1_001) }],
      ['InvalidParameterValue.AsyncRunEnable', { AsyncRunEnable: 'yes' }],
      ['InvalidParameterValue.TraceEnable', { TraceEnable: 'true' }],
      ['InvalidParameterValue.EnvironmentSystemProtect', { Environment: { Variables: [{ Key: 'SCF_X', Value: '' }] } }],
      ['InvalidParameterValue.Environment', { Environment: { Variables: [{ Key: '1', Value: '' }] } }],
      ['InvalidParameterValue.EnvironmentExceededLimit', { Environment: { Variables: [{ Key: 'A', Value: 'x'.repeat(4_096) }] } }],
      ['InvalidParameterValue.Code', { Code: {} }],
      ['InvalidParameterValue.ZipFileBase64BinasciiError', { Code: { ZipFile: 'not base64' } }],
      ['InvalidParameterValue.ZipFile', { Code: { ZipFile: 'bm8gemlw' } }],
      ['InvalidParameterValue.CodeSource', { CodeSource: 'Git' }],
      ['UnsupportedOperation', { Code: { CosBucketName: 'b', CosObjectName: 'o' } }],
      ['InvalidParameterValue.ZipFile', { Type: 'HTTP' }],
      ['UnsupportedOperation', { VpcConfig: { VpcId: 'vpc-1', SubnetId: 's' } }],
      ['InvalidParameter', { Timeout: '3' }],
      ['UnknownParameter', { Color: 'red' }],
    ];
    for (const [code, change] of cases) {
      const refused = refusedWith(code, client.CreateFunction({ ...fn, ...change }));
      await refused.catch((error: unknown) => assert.fail(`${JSON.stringify(change)}: ${String(error)}`));
    }
    assert.equal((await client.ListFunctions({ SearchKey: 'never' })).TotalCount, 0);
  });
});
