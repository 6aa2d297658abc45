import type { FastifyReply } from 'fastify';
import { errorBody, refusalsOf } from './errors.ts';

/** One server-sent event. */
export type StreamItem = { readonly id?: string; readonly event: string; readonly data: string };

export type StreamOptions = {
  /** Aborted when the server closes: the stream ends, and its reader connects to another gateway. */
  readonly closing: AbortSignal;
  /** Logs a failure that no refusal describes. */
  readonly unexpected: (error: unknown) => void;
};

const STREAM_TYPE = 'text/event-stream; charset=utf-8';
/** Comments that keep proxies from closing a quiet stream. */
const HEARTBEAT_MS = 15_000;
/** How long the first item is waited for before the stream is opened without it: a refusal that comes sooner is an HTTP error. */
const FIRST_ITEM_MS = 300;

/**
 * Answers with server-sent events (WHATWG HTML §9.2). A failure before the first item is thrown, and answered as an HTTP error; one later is
 * sent as an event named "error". A stream without any item is 204, after which an EventSource does not reconnect. The items end when the
 * reader disconnects: their source has a signal that is aborted then.
 */
export async function sendEventStream(
  reply: FastifyReply,
  items: AsyncIterable<readonly StreamItem[]>,
  options: StreamOptions,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  const response = reply.raw;
  const gone = new Promise<void>((resolve) => response.once('close', () => resolve()));
  let next = iterator.next();
  next.catch(() => undefined); // looked at below, perhaps after the pause
  const early = await Promise.race([next, pause(FIRST_ITEM_MS)]);
  if (early?.done) {
    await reply.code(204).send();
    return;
  }
  if (reply.request.method === 'HEAD') {
    void iterator.return?.();
    await reply.code(200).header('content-type', STREAM_TYPE).send();
    return;
  }
  reply.hijack();
  response.writeHead(200, {
    ...headersOf(reply),
    'content-type': STREAM_TYPE,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write('retry: 1000\n\n');
  const heartbeat = setInterval(() => response.write(': heartbeat\n\n'), HEARTBEAT_MS);
  try {
    for (let step = await next; !step.done && !response.destroyed; step = await next) {
      next = iterator.next();
      next.catch(() => undefined); // looked at in the next round
      const text = step.value.map(itemText).join('');
      if (!response.write(text)) await Promise.race([new Promise((resolve) => response.once('drain', resolve)), gone]);
    }
  } catch (error) {
    if (!response.destroyed && !options.closing.aborted) {
      const body = errorBody(refusalsOf(error, reply.request, options.unexpected));
      response.write(itemText({ event: 'error', data: JSON.stringify(body) }));
    }
  } finally {
    clearInterval(heartbeat);
    void iterator.return?.();
    response.end();
  }
}

/** Headers that are set for every answer: a stream writes its head itself. */
function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}

function itemText(item: StreamItem): string {
  // A result may have line ends between its tokens: each line of the data is a line of the stream, and readers put them together again.
  const data = item.data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `${item.id === undefined ? '' : `id: ${item.id}\n`}event: ${item.event}\n${data.join('')}\n`;
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined).unref());
}
