// Every parameter that is sent to the SCF API is accepted, or refused with SCF's codes, and is never a failure of the platform.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { tc3Headers } from '../../services/gateway/src/testing/tc3.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { exampleZip } from '../support/scf-client.ts';

const TEXT = [
  'FunctionName',
  'Namespace',
  'Qualifier',
  'InvokeRequestId',
  'FunctionRequestId',
  'Description',
  'SearchKey',
  'Handler',
  'Runtime',
];
const WORDS = [
  'Order',
  'Orderby',
  'OrderBy',
  'Publish',
  'GraceShutdown',
  'InvocationType',
  'LogType',
  'InvokeType',
  'CodeSource',
  'TraceEnable',
];
const NUMBERS = ['Offset', 'Limit', 'Timeout', 'MemorySize', 'InitTimeout', 'ReservedConcurrencyMem', 'VersionProvisionedConcurrencyNum'];
const OBJECTS = ['Code', 'Environment', 'StartTimeInterval', 'EndTimeInterval', 'AsyncTriggerConfig', 'Filter', 'ImageConfig'];
const LISTS = ['Status', 'Filters', 'Layers', 'Tags'];
const PAYLOADS = ['ClientContext', 'Event', 'RoutingKey', 'ZipFile', 'StartTime', 'EndTime'];
const ACTIONS = [
  ...['CreateFunction', 'GetFunction', 'ListFunctions', 'ListVersionByFunction', 'PublishVersion'],
  ...['UpdateFunctionCode', 'UpdateFunctionConfiguration', 'UpdateFunctionEventInvokeConfig', 'GetFunctionEventInvokeConfig'],
  ...['ListAsyncEvents', 'GetAsyncEventStatus', 'TerminateAsyncEvent', 'GetRequestStatus', 'GetFunctionLogs', 'Invoke', 'InvokeFunction'],
  ...['PutReservedConcurrencyConfig', 'GetReservedConcurrencyConfig', 'PutProvisionedConcurrencyConfig', 'GetProvisionedConcurrencyConfig'],
  ...['ListNamespaces', 'CreateNamespace', 'UpdateNamespace', 'GetAccount', 'DeleteFunction'],
];

const text = fc.oneof(
  fc.constantFrom(
    'scf',
    'default',
    '$LATEST',
    '1',
    'TRUE',
    'ASC',
    'Event',
    '',
    '\0',
    '\ud800',
    '../x',
    'a b',
    '__proto__',
    '%',
    "'",
    'é',
    '漢'.repeat(400),
  ),
  fc.constantFrom(
    '2026-01-01 00:00:00',
    '2026-02-31 00:00:00',
    '9999-99-99 99:99:99',
    '0000-00-00 00:00:00',
    '{"a":1}',
    '{',
    'UEsDBA==',
    '!!!',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('a'.repeat(1_000), 'a'.repeat(100_000), '9'.repeat(400)),
);
const number = fc.oneof(fc.constantFrom(0, -1, 1, 128, 1e6, 1e6 + 1, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 0.5, -0), fc.integer());
const anything = fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.jsonValue({ maxDepth: 3 }));
const object = fc.oneof(
  fc.dictionary(
    fc.constantFrom('Variables', 'ZipFile', 'Start', 'End', 'RetryConfig', 'MsgTTL', 'Name', 'Values', 'Key', 'Value', '__proto__'),
    anything,
  ),
  anything,
);
const named = (names: readonly string[], value: fc.Arbitrary<unknown>) => fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 3 });
const parameters = fc
  .tuple(
    named(TEXT, fc.oneof({ weight: 3, arbitrary: text }, anything)),
    named(WORDS, text),
    named(NUMBERS, fc.oneof({ weight: 3, arbitrary: number }, anything)),
    named(OBJECTS, object),
    named(LISTS, fc.oneof(fc.array(object, { maxLength: 30 }), anything)),
    named(PAYLOADS, text),
    fc.boolean(),
  )
  .map(([texts, words, numbers, objects, lists, payloads, isNamed]) => ({
    ...(isNamed ? { FunctionName: 'scf' } : {}),
    ...texts,
    ...words,
    ...numbers,
    ...objects,
    ...lists,
    ...payloads,
  }));

describe('parameters of SCF that make no sense', () => {
  let stack: Stack;
  const send = async (action: string, type: string, body: string) => {
    const [id = '', secret = ''] = stack.accessKey.split(':', 2);
    const signed = tc3Headers({ id, secret, host: new URL(stack.http).host, body, contentType: type });
    const response = await fetch(`${stack.http}/`, {
      method: 'POST',
      headers: { ...signed, 'x-tc-action': action, 'x-tc-version': '2018-04-16' },
      body,
    });
    assert.equal(response.status, 200);
    return ((await response.json()) as { Response: { RequestId?: string; Error?: { Code: string; Message: string } } }).Response;
  };

  before(async () => {
    stack = await startStack();
    const code = { ZipFile: await exampleZip('echo') };
    const made = await send('CreateFunction', 'application/json', JSON.stringify({ FunctionName: 'scf', Runtime: 'Nodejs18.15', Handler: 'index.handler', Code: code })); // prettier-ignore
    assert.equal(made.Error, undefined, JSON.stringify(made));
  });
  after(() => stack.dispose());

  for (const action of ACTIONS)
    it(`of ${action} are taken or refused`, async () => {
      await fc.assert(
        fc.asyncProperty(parameters, async (input) => {
          const sent: Record<string, unknown> = { ...input };
          // What the action does not know is left out, one after the other, until what it knows is looked at.
          for (let more = true; more;) {
            const { RequestId: id, Error: error } = await send(action, 'application/json', JSON.stringify(sent));
            assert.match(id ?? '', /^[0-9a-f-]{36}$/);
            if (error) {
              assert.doesNotMatch(error.Code, /^InternalError/, `${error.Message} ${JSON.stringify(sent).slice(0, 2_000)}`);
              assert.ok(error.Message.length < 2_000, error.Message.slice(0, 200));
            }
            const unknown = error?.Code === 'UnknownParameter' ? /`([^`.]+)/.exec(error.Message)?.[1] : undefined;
            more = unknown !== undefined && unknown in sent;
            if (more) Reflect.deleteProperty(sent, unknown ?? '');
          }
        }),
        { numRuns: 60, seed: 7 },
      );
      assert.doesNotMatch(stack.stderr(), / error /);
    });
});
