import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readEventStream, type ServerSentEvent } from './event-stream.ts';

const text = fc.string({ unit: fc.constantFrom('a', ' ', ':', '{', '"', 'é', '\u2028', '\ud83d\ude00', '\n') });
const sent = fc.record(
  {
    id: fc.option(fc.stringMatching(/^[0-9.]{1,6}$/), { nil: undefined }),
    event: fc.constantFrom('change', 'line', 'message'),
    data: text,
  },
  { noNullPrototype: true },
);

async function read(bytes: Uint8Array, cuts: readonly number[]): Promise<ServerSentEvent[]> {
  async function* chunks() {
    let from = 0;
    for (const cut of [...cuts.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
      yield bytes.subarray(from, cut);
      from = cut;
    }
  }
  const events: ServerSentEvent[] = [];
  for await (const event of readEventStream(chunks())) events.push(event);
  return events;
}

describe('server-sent events', () => {
  it('are read whatever their line ends are, and wherever the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sent), fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat()), async (events, end, cuts) => {
        const lines = events.flatMap(({ id, event, data }) => [
          ': a comment',
          ...(id === undefined ? [] : [`id: ${id}`]),
          `event:${event}`,
          ...data.split('\n').map((line) => `data: ${line}`),
          '',
        ]);
        const stream = Buffer.from(['retry: 1000', '', ...lines, 'data: unfinished'].join(end));
        assert.deepEqual(await read(stream, cuts), events);
      }),
    );
  });
});
