import type { Socket } from 'node:net';
import { staticContextOf } from '../../domain/context.ts';
import { callWriter, readInvokeReply, readReplyHead, type ReplyHead } from '../../domain/gob/messages.ts';
import { GobFault, gobReader, type GobRead } from '../../domain/gob/read.ts';
import { gobSplitter } from '../../domain/gob/split.ts';
import { failureJson, MAX_RESULT_BYTES } from '../../domain/runtime-answer.ts';
import type { Conversation, ConversationEvents, ConversationSpec, Invocation } from '../../ports.ts';
import { connectToPort } from './connect-to-port.ts';

/** Of one message: the largest result that can be reported as too large, and what is around it. */
const MAX_MESSAGE_BYTES = MAX_RESULT_BYTES + 1024 * 1024;
/** A process that dies closes its connection first: its exit explains more, and the agent waits this long for it. */
const EXIT_WITHIN_MS = 500;

/** Talks to a function built with scf-go-lib: net/rpc over encoding/gob on a port the function listens on. It is ready when it answers a ping. */
export async function gobRpcConversation(spec: ConversationSpec, events: ConversationEvents): Promise<Conversation> {
  const { fn, timeoutMs, network } = spec;
  const port = await network.claimPort(undefined);
  const context = staticContextOf(fn, timeoutMs);
  const calls = callWriter();
  const reader = gobReader();
  let socket: Socket | undefined;
  let stop: () => void = () => undefined;
  let uid: number | undefined;
  let closed = false;
  let brokenTimer: NodeJS.Timeout | undefined;
  let head: ReplyHead | undefined;
  let current: Invocation | undefined;

  const broken = (text: string): void => {
    socket?.destroy();
    if (!closed) brokenTimer ??= setTimeout(() => events.onBroken(text), EXIT_WITHIN_MS);
  };
  const onReply = ({ seq, error }: ReplyHead, body: GobRead): void => {
    if (seq === 0) return error === '' ? events.onLoaded() : events.onBroken(`Function.Ping: ${error}`);
    if (seq !== current?.seq) return;
    const { requestId } = current;
    current = undefined;
    const failed = (statusCode: number, failure: Parameters<typeof failureJson>[2], mustExit = false): void => {
      events.onFailed(seq, { statusCode, error: failureJson(requestId, statusCode, failure), tookMs: Infinity, mustExit });
      events.onFree();
    };
    if (error !== '') return failed(430, { message: error });
    const reply = readInvokeReply(body);
    if (reply.error) return failed(430, reply.error, reply.error.shouldExit);
    events.onAnswered(seq, reply.payload, Infinity);
    events.onFree();
  };
  const onMessage = (content: Buffer): void => {
    const value = reader.read(content);
    if (value === undefined) return;
    if (!head) return void (head = readReplyHead(value));
    const of = head;
    head = undefined;
    onReply(of, value);
  };
  const split = gobSplitter(MAX_MESSAGE_BYTES, onMessage);

  return {
    variables: {
      defaults: {},
      fixed: {
        _LAMBDA_SERVER_PORT: String(port),
        _SCF_SERVER_PORT: String(port),
        FUNCTION_NAME: fn.name,
        FUNCTION_VERSION: fn.version,
        FUNCTION_MEMORY_SIZE: String(fn.memoryMb),
      },
    },
    ofPackage: true,
    logsHooks: false,
    lateFault: {
      statusCode: 450,
      message: 'The function did not answer a ping on the port in _LAMBDA_SERVER_PORT within its init timeout',
    },
    greet(_, user) {
      uid = user;
      events.onGreeted(false);
    },
    onChannel: () => undefined,
    load() {
      stop = connectToPort(network, port, uid, (open) => {
        socket = open;
        open.on('data', (chunk: Buffer) => {
          try {
            split(chunk);
          } catch (error) {
            if (!(error instanceof GobFault)) throw error;
            broken(`it answered with bytes that are no gob: ${error.message}`);
          }
        });
        open.on('error', () => undefined); // its close event follows
        open.on('close', () => broken('it closed its connection'));
        open.write(calls.ping(0));
      });
    },
    invoke(invocation) {
      current = invocation;
      const { seq, requestId, payload, deadlineTimeMs } = invocation;
      const seconds = Math.floor(deadlineTimeMs / 1000);
      socket?.write(
        calls.invoke(seq, {
          Payload: payload,
          RequestId: requestId,
          Deadline: { Seconds: seconds, Nanos: Math.round((deadlineTimeMs - seconds * 1000) * 1e6) },
          Namespace: fn.namespace,
          FunctionName: fn.name,
          FunctionVersion: fn.version,
          MemoryLimitInMb: fn.memoryMb,
          TimeLimitInMs: Math.min(timeoutMs, 0x7fff_ffff),
          Environment: String(context['environment']),
          TencentcloudRegion: 'local',
          TencentcloudAppID: '0',
          TencentcloudUin: '0',
        }),
      );
      return true;
    },
    leave: () => undefined, // it has had its signal
    hook: ({ seq }) => events.onHookEnded(seq, false, 'runtime go1 has no hooks'),
    close() {
      closed = true;
      clearTimeout(brokenTimer);
      stop();
      socket?.destroy();
      network.releasePort(port);
    },
  };
}
