import type { FastifyReply } from 'fastify';
import { refusalsOf, errorBody } from './errors.ts';

/** One server-sent event. */
export type StreamItem = { readonly id?: string; readonly event: string; readonly data: string };

/** Comments that keep proxies from closing a quiet stream. */
const HEARTBEAT_MS = 15_000;
/** How long the first item is waited for before the stream is opened without it: a refusal that comes sooner is an HTTP error. */
const FIRST_ITEM_MS = 300;

/**
 * Answers with server-sent events (WHATWG HTML §9.2). A failure before the first item is thrown, and answered as an HTTP error; one later is
 * sent as an event named "error". A stream without any item is 204, which tells an EventSource not to come back.
 */
export async function sendEventStream(
  reply: FastifyReply,
  items: AsyncIterable<readonly StreamItem[]>,
  unexpected: (error: unknown) => void,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  const response = reply.raw;
  let next = iterator.next();
  next.catch(() => undefined); // looked at below, perhaps after the pause
  const early = await Promise.race([next, pause(FIRST_ITEM_MS)]);
  if (early?.done) {
    await reply.code(204).send();
    return;
  }
  reply.hijack();
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  response.write('retry: 1000\n\n');
  const heartbeat = setInterval(() => response.write(': heartbeat\n\n'), HEARTBEAT_MS);
  const gone = new Promise<'gone'>((resolve) => response.once('close', () => resolve('gone')));
  try {
    for (;;) {
      const step = await Promise.race([next, gone]);
      if (step === 'gone' || step.done) break;
      next = iterator.next();
      next.catch(() => undefined);
      if (!response.write(step.value.map(itemText).join('')))
        await Promise.race([new Promise((resolve) => response.once('drain', resolve)), gone]);
    }
  } catch (error) {
    const body = errorBody(refusalsOf(error, reply.request, unexpected));
    response.write(itemText({ event: 'error', data: JSON.stringify(body) }));
  } finally {
    clearInterval(heartbeat);
    void iterator.return?.();
    response.end();
  }
}

function itemText(item: StreamItem): string {
  // JSON text has no line ends, so one data line holds it.
  return `${item.id === undefined ? '' : `id: ${item.id}\n`}event: ${item.event}\ndata: ${item.data}\n\n`;
}

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined).unref());
}
