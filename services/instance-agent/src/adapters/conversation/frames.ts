import { staticContextOf } from '../../domain/context.ts';
import { encodeExtended, encodeFrame, encodeHook, encodeInvokeHead, Frame, frameReader } from '../../domain/frames.ts';
import type { ChannelWrite, Conversation, ConversationEvents, ConversationSpec } from '../../ports.ts';

/** Larger payloads are not worth a copy to save a write. */
const JOINED_BYTES = 16_384;
const NO_BYTES: Buffer = Buffer.alloc(0);
/** Answers to a function that it may leave unread, beyond what the kernel holds. A function that requests without reading would fill the agent's memory. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** Talks to the platform's own bootstraps, in frames on file descriptor 3 (`runtimes/python3/README.md`). */
export function framesConversation(spec: ConversationSpec, events: ConversationEvents): Conversation {
  let write: ChannelWrite = () => undefined;
  let isGreeted = false;
  let isBroken = false;
  let unreadBytes = 0;
  const breakOff = (reason: string): void => {
    if (isBroken) return;
    isBroken = true;
    events.onBroken(reason);
  };
  // Python's runtime runs no code of the function between an answer and the next event. Node's reports when its loop has turned, and whether
  // anything of the function's is left that could hold the next event up.
  const isOrderly = spec.fn.runtime === 'python3';
  let takesAtOnce = isOrderly;
  const read = frameReader((kind, body) => {
    if (kind === Frame.FREE) {
      takesAtOnce = body[0] === 1;
      events.onFree();
      return;
    }
    if (kind === Frame.EXTEND) return extend(body);
    if (kind === Frame.HELLO) return hello();
    onFrame(events, kind, body);
    if (kind === Frame.RESULT_FREE) takesAtOnce = true;
    if (kind === Frame.RESULT_FREE || (isOrderly && (kind === Frame.RESULT || kind === Frame.FAILURE))) events.onFree();
  });
  // Only the runtime's own, which is the first, has the function loaded: code of the function's can write others.
  const hello = (): void => {
    if (isGreeted) return;
    isGreeted = true;
    events.onGreeted(spec.fn.runtime === 'nodejs');
  };
  const extend = (body: Buffer): void => {
    if (body.length !== 8 || isBroken) return;
    const { grantedMs, reason } = events.onExtensionRequested(body.readUInt32LE(4));
    const reply = encodeExtended(body.readUInt32LE(0), grantedMs, reason);
    unreadBytes += reply.length;
    write(reply, () => (unreadBytes -= reply.length));
    if (unreadBytes > MAX_UNREAD_BYTES) breakOff('it requests more time without reading the answers');
  };
  return {
    variables: { defaults: {}, fixed: {} },
    ofPackage: false,
    logsHooks: false,
    lateFault: undefined,
    greet: (channel) => void (write = channel),
    onChannel(chunk) {
      if (!isBroken && !read(chunk)) breakOff('it wrote to the channel of its runtime');
    },
    load() {
      const terms = { handler: spec.fn.handler, context: staticContextOf(spec.fn, spec.timeoutMs) };
      write(encodeFrame(Frame.LOAD, Buffer.from(JSON.stringify(terms))));
    },
    invoke({ seq, requestId, payload }) {
      const head = encodeInvokeHead(seq, requestId, payload.length);
      // One write is one system call.
      if (payload.length > JOINED_BYTES) {
        write(head);
        write(payload);
      } else write(Buffer.concat([head, payload], head.length + payload.length));
      return takesAtOnce;
    },
    leave: () => write(encodeFrame(Frame.LEAVE, NO_BYTES)),
    hook: ({ seq, handler }) => write(encodeHook(seq, handler)),
    close: () => undefined, // the channel goes with the process
  };
}

/** Frames of one instance, in order. RESULT comes first: it is the one that comes for every event. Frames that are too short are ignored. */
function onFrame(events: ConversationEvents, kind: number, body: Buffer): void {
  switch (kind) {
    case Frame.RESULT:
    case Frame.RESULT_FREE:
      if (body.length >= 8) events.onAnswered(body.readUInt32LE(0), body.subarray(8), body.readUInt32LE(4) / 1000);
      return;
    case Frame.FAILURE:
      if (body.length < 10) return;
      return events.onFailed(body.readUInt32LE(0), {
        statusCode: body.readUInt16LE(8),
        error: body.subarray(10),
        tookMs: body.readUInt32LE(4) / 1000,
        mustExit: false,
      });
    case Frame.TAKEN:
      if (body.length >= 4) events.onReceived(body.readUInt32LE(0));
      return;
    case Frame.HANDLERS:
      return events.onHandlers(body.length >= 4 ? body.readInt32LE(0) : 0);
    case Frame.LOADED:
      return events.onLoaded();
    case Frame.LOAD_FAILED: {
      const statusCode = body.length >= 2 ? body.readUInt16LE(0) : 500;
      return events.onLoadFailed({ statusCode, message: 'The function could not be loaded', error: Buffer.from(body.subarray(2)) });
    }
    case Frame.HOOK_ENDED:
      if (body.length >= 5) events.onHookEnded(body.readUInt32LE(0), body[4] === 1, body.toString('utf8', 5));
  }
}
