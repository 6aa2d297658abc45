// Results of synchronous calls above what a gRPC client takes, for a client that is as it is.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { InvocationServiceService, InvokeFunctionRequest } from '@evenfall/contracts/v1/invocation_service';
import { Refusal } from '@evenfall/errors';
import { openPeer, type Peer } from '@evenfall/rpc';
import { type Stack, startStack } from '../support/stack.ts';

const CODE = 'def handler(event, context):\n    print("ran")\n    return "r" * (event["bytes"] - 2)\n';
const MIB = 1024 * 1024;

describe('a result above 4 MiB', () => {
  let stack: Stack;
  let usual: Peer;
  let raised: Peer;
  before(async () => {
    stack = await startStack();
    const fn = { name: 'large', runtime: 'python3', handler: 'index.handler', timeout: '30s' };
    await stack.rest.deploy(fn, { 'index.py': CODE });
    usual = openPeer(stack.grpc, { headers: stack.headers, maxMessageBytes: 4 * MIB }); // the default of gRPC
    raised = openPeer(stack.grpc, { headers: stack.headers, maxMessageBytes: 8 * MIB });
  });
  after(async () => {
    usual.close();
    raised.close();
    await stack.dispose();
  });
  const request = (bytes: number): InvokeFunctionRequest =>
    InvokeFunctionRequest.create({ namespace: 'default', function: 'large', payload: Buffer.from(JSON.stringify({ bytes })) });

  for (const bytes of [1_000, 4 * MIB - 5_000, 4 * MIB, 6 * MIB])
    it(`is had whole in pieces, by HTTP, and in one message by a client that says it takes it: ${bytes} bytes`, async () => {
      const wanted = JSON.stringify('r'.repeat(bytes - 2));
      const pieces: Buffer[] = [];
      let size = 0n;
      for await (const { part, resultSizeBytes } of usual
        .client(InvocationServiceService)
        .streamInvokeFunction({ invocation: request(bytes) })) {
        if (part?.$case === 'resultChunk') pieces.push(part.value);
        else size = resultSizeBytes;
      }
      assert.equal(size, BigInt(bytes));
      assert.ok(Buffer.concat(pieces).equals(Buffer.from(wanted)));
      const whole = await raised.client(InvocationServiceService).invokeFunction({ ...request(bytes), maxAnswerBytes: 8 * MIB });
      assert.ok(whole.result.equals(Buffer.from(wanted)));
      const { body } = await stack.rest.call<{ result: string }>('POST', '/v1/namespaces/default/functions/large:invoke', { bytes });
      assert.equal(body.result.length, bytes - 2);
    });

  it('is refused to a client that does not, which learns that the function ran, and can read its log', async () => {
    const error: unknown = await usual
      .client(InvocationServiceService)
      .invokeFunction(request(5 * MIB))
      .catch((failure: unknown) => failure);
    assert.ok(error instanceof Refusal);
    assert.deepEqual([error.reason, error.status], ['ANSWER_TOO_LARGE', 'RESOURCE_EXHAUSTED']);
    assert.deepEqual([error.metadata['function_status_code'], error.metadata['result_bytes']], ['200', String(5 * MIB)]);
    const lines = await stack.rest.logs(error.metadata['event_id'] ?? '');
    assert.ok(lines.some(({ text }) => text === 'ran'));
    assert.doesNotMatch(stack.stderr(), / error /);
  });
});
