import type {
  InvokeFunctionRequest,
  StreamInvokeFunctionRequest,
  StreamInvokeFunctionResponse,
} from '@evenfall/contracts/v1/invocation_service';
import { InvokeFunctionRequest as Codec } from '@evenfall/contracts/v1/invocation_service';
import { orThrow } from '@evenfall/errors';
import { CHUNK_BYTES, maxAnswerBytes, sizeRefusalOf } from '../domain/answer-size.ts';
import type { Caller, Gateway } from '../ports.ts';
import { invokeFunction } from './invoke-function.ts';

const NOTHING = Buffer.alloc(0);

/** Calls a function for a client that takes one message of bounded size. Throws ANSWER_TOO_LARGE after the function has run. */
export async function invokeFunctionWithin(gateway: Gateway, caller: Caller, request: InvokeFunctionRequest) {
  const maxBytes = orThrow(maxAnswerBytes(request.maxAnswerBytes)); // before the function runs
  const answer = await invokeFunction(gateway, caller, request);
  orThrow(sizeRefusalOf(answer, maxBytes));
  return answer;
}

/** Calls a function and sends what it comes to in pieces: the answer without its result, then the result. */
export async function* streamInvokeFunction(
  gateway: Gateway,
  caller: Caller,
  { invocation = Codec.create() }: StreamInvokeFunctionRequest,
): AsyncGenerator<StreamInvokeFunctionResponse> {
  const { result, ...answer } = await invokeFunction(gateway, caller, invocation);
  yield { part: { $case: 'answer', value: { ...answer, result: NOTHING } }, resultSizeBytes: BigInt(result.length) };
  for (let at = 0; at < result.length && !caller.signal.aborted; at += CHUNK_BYTES) {
    yield { part: { $case: 'resultChunk', value: result.subarray(at, at + CHUNK_BYTES) }, resultSizeBytes: 0n };
  }
}
