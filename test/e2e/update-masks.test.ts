// Every path of an update mask is applied, or refused as a field, and fields that it does not name stay.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { EventInvokeConfig, FunctionMessage, Hook } from '@evenfall/contracts/v1/function';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { Refusal } from '@evenfall/errors';
import { grpcClient } from '@evenfall/rpc';
import { type Stack, startStack } from '../support/stack.ts';

const FIELDS = [
  ...['description', 'runtime', 'handler', 'timeout', 'memory_mb', 'environment', 'termination', 'event_invoke', 'initializer', 'pre_stop'],
  ...['init_timeout', 'annotations', 'termination_by_cause', 'port', 'name', 'namespace', 'uid', 'revision', 'code_sha256', 'create_time'],
];
const PARTS = [
  ...[
    '',
    '*',
    '__proto__',
    'constructor',
    'toString',
    '$case',
    'target',
    'value',
    '0',
    'on_success',
    'on_failure',
    'webhook',
    'function',
    'url',
  ],
  ...[
    'secret',
    'kill_signal',
    'grace_period',
    'escalation',
    'max_retries',
    'drain',
    'timeout',
    'handler',
    'seconds',
    'memoryMb',
    'é',
    '\u0000',
    'a'.repeat(5_000),
  ],
];
const path = fc.array(fc.constantFrom(...FIELDS, ...PARTS), { minLength: 1, maxLength: 5 }).map((names) => names.join('.'));
const mask = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.oneof(path, fc.constantFrom(...FIELDS)), { maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 5_000 }, (_, n) => `description${n}`)) },
);
const wanted = fc.constantFrom(
  FunctionMessage.create({}),
  FunctionMessage.create({ description: 'x', handler: 'index.other', memoryMb: 256 }),
  FunctionMessage.create({ eventInvoke: EventInvokeConfig.create({ maxRetries: 1 }), initializer: Hook.create({ handler: 'index.init' }) }),
  FunctionMessage.create({
    termination: TerminationPolicy.create({ killSignal: 2 }),
    terminationByCause: { drain: TerminationPolicy.create() },
  }),
);

describe('update masks', () => {
  let stack: Stack;
  let opened: ReturnType<typeof grpcClient<typeof FunctionServiceService>>;
  before(async () => {
    stack = await startStack();
    await stack.rest.deployExample('echo');
    opened = grpcClient(FunctionServiceService, stack.grpc, { headers: stack.headers });
  });
  after(async () => {
    opened.close();
    await stack.dispose();
  });

  it('of paths that are none, too deep or hostile are refused; the others change what they name', async () => {
    const { client } = opened;
    const named = { namespace: 'default', name: 'echo' };
    const current = async () => (await client.getFunction({ ...named, qualifier: '' })).function;
    await fc.assert(
      fc.asyncProperty(mask, wanted, async (updateMask, fn) => {
        const before = await current();
        try {
          const { function: after } = await client.updateFunction({ function: { ...fn, ...named }, updateMask });
          // What no path begins with is as it was.
          for (const field of ['description', 'memoryMb', 'handler', 'runtime', 'environment'] as const) {
            const own = field === 'memoryMb' ? 'memory_mb' : field;
            if (!updateMask.some((one) => one.split('.')[0] === own)) assert.deepEqual(after?.[field], before?.[field]);
          }
          assert.deepEqual(
            [after?.name, after?.namespace, after?.uid, after?.codeSha256],
            ['echo', 'default', before?.uid, before?.codeSha256],
          );
        } catch (error) {
          assert.ok(error instanceof Refusal, String(error));
          assert.equal(error.reason, 'INVALID_FIELD', error.message);
          assert.ok(error.message.length < 1_000);
          assert.deepEqual(await current(), before);
        }
      }),
      { numRuns: 300, seed: 11 },
    );
    assert.doesNotMatch(stack.stderr(), / error /);
    assert.equal((await stack.rest.call('POST', '/v1/namespaces/default/functions/echo:invoke', '7')).status, 200);
  });
});
