import { Agent as Connections, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { failureJson, MAX_RESULT_BYTES, tooLargeMessage } from '../../domain/runtime-answer.ts';
import { webHeaders } from '../../domain/web-headers.ts';
import type { Conversation, ConversationEvents, ConversationSpec, HookCall, Invocation } from '../../ports.ts';
import { connectToPort } from './connect-to-port.ts';

const DEFAULT_PORT = 9000;
/** A process that dies closes its connections first: its exit explains more, and the agent waits this long for it. */
const EXIT_WITHIN_MS = 500;
/** Of an answer that is no result, shown in its error. */
const MAX_SHOWN_BYTES = 16 * 1024;
const HOOK_PATHS = { INITIALIZER: ['POST', '/initialize'], PRE_STOP: ['GET', '/pre-stop'] } as const;

type Answer = { readonly status: number; readonly fcStatus: number; readonly body: Buffer; readonly bytes: number };

/** Talks to a web function: an HTTP server of the package's own. An event is `POST /event-invoke`; the instance is ready once the port answers. */
export async function webConversation(spec: ConversationSpec, events: ConversationEvents): Promise<Conversation> {
  const { fn, timeoutMs, initTimeoutMs, network } = spec;
  const wanted = fn.port > 0 ? fn.port : DEFAULT_PORT;
  const port = await network.claimPort(wanted);
  // A connection for each call: one that is kept may be closed by its server just when it is used again, and then it is unknown whether the call
  // was read. A new one costs 0.1 ms.
  const connections = new Connections({ keepAlive: false, maxSockets: 4 });
  const connecting = new Set<() => void>();
  connections.createConnection = (_, done) => {
    const callback = done as (error: Error | null, socket?: Socket) => void; // it wants a socket only where there is no error
    const breakOff = network.connect(port, (result) => {
      connecting.delete(breakOff);
      if (result instanceof Error) callback(result);
      else callback(null, result);
    });
    connecting.add(breakOff);
    return undefined;
  };
  let stop: () => void = () => undefined;
  let uid: number | undefined;
  let closed = false;
  const timers = new Set<NodeJS.Timeout>();

  const call = (
    method: string,
    path: string,
    requestId: string,
    body: Buffer | undefined,
    controlPath: string,
    done: (answer: Answer | string, isSent: boolean) => void,
    onSent: () => void = () => undefined,
  ): void => {
    let isSent = false;
    let hasAnswered = false;
    const answerOnce = (answer: Answer | string): void => {
      if (hasAnswered || closed) return;
      hasAnswered = true;
      if (typeof answer !== 'string') return done(answer, true);
      const timer = setTimeout(() => {
        timers.delete(timer);
        done(answer, isSent);
      }, EXIT_WITHIN_MS);
      timers.add(timer);
    };
    const headers = {
      ...webHeaders(fn, { requestId, timeoutMs, controlPath }),
      'Content-Length': String(body?.length ?? 0),
      ...(body ? { 'Content-Type': 'application/json' } : {}),
    };
    const request = httpRequest({ agent: connections, host: '127.0.0.1', port, method, path, headers, setHost: true });
    request.on('socket', () => {
      isSent = true; // it is connected: the request is on its way
      onSent();
    });
    request.on('response', (response) => void collect(response).then(answerOnce, (error: unknown) => answerOnce(textOf(error))));
    // Without a listener the connection is closed without an answer: the call would wait for its timeout.
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      answerOnce({ status: response.statusCode ?? 0, fcStatus: 200, body: Buffer.alloc(0), bytes: 0 });
    });
    request.on('error', (error) => answerOnce(textOf(error)));
    request.end(body);
  };
  const invoke = ({ seq, requestId, payload }: Invocation): boolean => {
    const onAnswer = (answer: Answer | string, isSent: boolean): void => {
      if (!isSent) return events.onBroken(`its server accepted no connection: ${typeof answer === 'string' ? answer : ''}`);
      const fail = (statusCode: number, message: string): void => {
        events.onFailed(seq, { statusCode, error: failureJson(requestId, statusCode, { message }), tookMs: Infinity, mustExit: false });
        events.onFree();
      };
      if (typeof answer === 'string') return fail(430, `The function's server did not answer: ${answer}`);
      if (!isGood(answer)) return fail(430, sentenceOf(answer));
      if (answer.bytes > MAX_RESULT_BYTES) return fail(407, tooLargeMessage(answer.bytes));
      events.onAnswered(seq, answer.body, Infinity);
      events.onFree();
    };
    call('POST', '/event-invoke', requestId, payload, '/invoke', onAnswer, () => events.onReceived(seq));
    return false; // it is received when the server has the connection
  };
  const hook = ({ seq, kind, requestId }: HookCall): void => {
    const [method, path] = HOOK_PATHS[kind];
    call(method, path, requestId, undefined, path, (answer) => {
      if (typeof answer === 'string') events.onHookEnded(seq, false, answer);
      else events.onHookEnded(seq, isGood(answer), isGood(answer) ? '' : sentenceOf(answer));
    });
  };

  const seconds = Math.round(initTimeoutMs);
  const where = port === wanted ? `${port}` : `${port}, as in its variable PORT: ${wanted} is in use on this host`;
  return {
    variables: {
      // Servers in Python would keep what they print until they exit.
      defaults: { PYTHONUNBUFFERED: '1' },
      fixed: { PORT: String(port), FC_SERVER_PORT: String(port), SCF_SERVER_PORT: String(port), _HANDLER: fn.handler },
    },
    ofPackage: true,
    logsHooks: false,
    lateFault: {
      statusCode: 446,
      message: `The request timed out in ${seconds}ms.Please confirm your http server have enabled listening on port ${where}.`,
    },
    greet(_, user) {
      uid = user;
      events.onGreeted(false);
    },
    onChannel: () => undefined,
    load() {
      stop = connectToPort(network, port, uid, (socket) => {
        socket.on('error', () => undefined); // it was only to see whether a server listens
        socket.destroy();
        events.onLoaded();
      });
    },
    invoke,
    hook,
    leave: () => undefined, // it has had its signal
    close() {
      closed = true;
      stop();
      for (const timer of timers) clearTimeout(timer);
      for (const breakOff of connecting) breakOff();
      connections.destroy();
      network.releasePort(port);
    },
  };
}

/** Reads an answer as far as it can be a result; the rest is counted and thrown away, so that the connection can be used again. */
async function collect(response: IncomingMessage): Promise<Answer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= MAX_RESULT_BYTES) parts.push(part);
    if (bytes > 2 * MAX_RESULT_BYTES) break; // a flood is not read to its end
  }
  const status = Number(response.headers['x-fc-status'] ?? 200);
  return { status: response.statusCode ?? 0, fcStatus: Number.isFinite(status) ? status : 0, body: Buffer.concat(parts), bytes };
}

/** FC's servers report with `x-fc-status` what their status should be. */
function isGood({ status, fcStatus }: Answer): boolean {
  return status >= 200 && status <= 299 && fcStatus >= 200 && fcStatus <= 299;
}

function sentenceOf({ status, fcStatus, body }: Answer): string {
  const text = body.toString('utf8', 0, MAX_SHOWN_BYTES);
  return `The function's server answered ${status >= 200 && status <= 299 ? `x-fc-status ${fcStatus}` : status}${text === '' ? '' : `: ${text}`}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
