import { subscribe } from 'node:diagnostics_channel';
import type { Http2Stream } from 'node:http2';

let isOn = false;

/**
 * Removes the listeners of an HTTP/2 stream once the stream is over. Node's handle of a stream survives every minor garbage collection, and
 * with it the stream, its listeners, and through these all that a call has carried: requests, answers, rows. They would be copied twice
 * and then wait for a major collection; the pauses of that were most of the slowest hundredth of calls. For all HTTP/2 of the process; once is enough.
 */
export function releaseStreams(): void {
  if (isOn) return;
  isOn = true;
  for (const side of ['client', 'server'])
    subscribe(`http2.${side}.stream.created`, (message) => release((message as { stream: Http2Stream }).stream));
}

function release(stream: Http2Stream): void {
  // The last event of a stream. Other listeners may still be called in this turn.
  stream.once('close', () => setImmediate(() => stream.removeAllListeners()));
}
