import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import type { LogLine } from '@evenfall/contracts/v1/log_service';
import { newUuidV7 } from '@evenfall/time';
import { createWatchers } from '../domain/watchers.ts';
import type { EventTable, LogTable } from '../ports.ts';
import { listLogLines } from './list-log-lines.ts';
import { tailLogLines } from './tail-log-lines.ts';

const PLATFORM = 3;
const STDOUT = 1;

/** An event-store that knows no event, and whatever lines a test stores. */
function world() {
  const id = newUuidV7();
  const stored: LogLine[] = [];
  const watchers = createWatchers();
  const logs: LogTable = {
    append: async () => [],
    used: async () => [],
    list: async (_: string, after: { sequence: number }, limit: number) =>
      stored.map((line, i) => ({ sequence: i + 1, line })).slice(after.sequence, after.sequence + limit),
  };
  const events = { getEvent: async () => undefined } as unknown as EventTable; // the reads ask for nothing else
  const barrier = {
    steady: async () => undefined,
    caughtUp: async () => undefined,
    caughtUpSoon: async () => undefined,
    reached: async () => undefined,
  };
  const ports = { events, logs, barrier, watchers, pending: () => undefined };
  const signal = new AbortController().signal;
  return {
    id,
    store(stream: 1 | 3, text: string) {
      stored.push({ time: new Date(), stream, attempt: 1, instanceId: 'i', text });
      watchers.notify(id);
    },
    list: async (pageSize = 0, pageToken = '') => listLogLines(ports, { eventId: id, pageSize, pageToken, filter: undefined }, signal),
    tail: (resumeToken = '') => tailLogLines(ports, { eventId: id, filter: undefined, resumeToken }, signal),
  };
}

const texts = (lines: readonly LogLine[]): string[] => lines.map((line) => line.text);
const isNotFound = (error: unknown): boolean => isRefusal(error) && error.reason === 'EVENT_NOT_FOUND';

describe('The log of a synchronous call', () => {
  it('is what its agent stored, in pages', async () => {
    const { id, store, list } = world();
    const all = [`START RequestId: ${id}`, 'hello', `END RequestId:${id}`, `Report RequestId:${id} Duration:1ms`];
    all.forEach((text) => store(text === 'hello' ? STDOUT : PLATFORM, text));
    const first = await list(3);
    assert.deepEqual(texts(first.lines), all.slice(0, 3));
    assert.deepEqual(texts((await list(3, first.nextPageToken)).lines), all.slice(3));
  });

  it('is waited for while its last lines are on their way', async () => {
    const { id, store, list } = world();
    const listed = list();
    setImmediate(() => {
      store(PLATFORM, `START RequestId: ${id}`);
      store(STDOUT, 'hello');
      setImmediate(() => store(PLATFORM, `Report RequestId:${id} Duration:1ms`));
    });
    assert.deepEqual(texts((await listed).lines).slice(1), ['hello', `Report RequestId:${id} Duration:1ms`]);
  });

  it('is followed to its end', async () => {
    const { id, store, tail } = world();
    store(PLATFORM, `START RequestId: ${id}`);
    const seen: string[] = [];
    for await (const { lines } of tail()) {
      seen.push(...texts(lines));
      if (seen.length === 1) store(STDOUT, 'hello');
      if (seen.length === 2) store(PLATFORM, `Report RequestId:${id} Duration:1ms`);
    }
    assert.deepEqual(seen, [`START RequestId: ${id}`, 'hello', `Report RequestId:${id} Duration:1ms`]);
  });

  it('is followed from any line on', async () => {
    const { id, store, tail } = world();
    const all = [`START RequestId: ${id}`, 'one', 'two', `Report RequestId:${id} Duration:1ms`];
    all.forEach((text) => store(text.length === 3 ? STDOUT : PLATFORM, text));
    const tokens: string[] = [''];
    for await (const { resumeTokens } of tail()) tokens.push(...resumeTokens);
    for (const [i, token] of tokens.entries()) {
      const seen: string[] = [];
      for await (const { lines } of tail(token)) seen.push(...texts(lines));
      assert.deepEqual(seen, all.slice(i), token);
    }
    await assert.rejects(tail('1.2').next(), (error) => isRefusal(error) && error.reason === 'INVALID_PAGE_TOKEN');
  });

  it('is not found where nothing was written', async () => {
    const { list, tail } = world();
    await assert.rejects(list(), isNotFound);
    await assert.rejects(tail().next(), isNotFound);
  });

  it('is not what is left of an event that is kept no more', async () => {
    const { store, list } = world();
    store(STDOUT, 'the platform’s lines were never stored');
    await assert.rejects(list(), isNotFound);
  });
});
