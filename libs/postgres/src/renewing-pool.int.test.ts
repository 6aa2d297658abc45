import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { answered } from './answered.ts';
import { createPool } from './pool.ts';
import type { Sql } from './sql.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/server.ts';

/** What happens to every open connection. */
type Fault = 'reset' | 'end' | 'reset after a failure' | 'nothing';
/** What new connections find. */
type ProxyState = 'open' | 'resets' | 'ends' | 'is starting up';

/** The server says that it is starting up, as a real one does after a crash, and hangs up. */
const STARTING_UP = messageOf('E', 'SFATAL\0VFATAL\0C57P03\0Mthe database system is not yet accepting connections\0\0');

/** A proxy before a real Postgres, which can lose connections, refuse them, and pause. */
function createFaultyProxy(socketPath: string) {
  const pairs = new Set<{ client: Socket; upstream: Socket }>();
  let state: ProxyState = 'open';
  let isStill = false;
  const server: Server = createServer((client) => {
    client.on('error', () => undefined);
    if (state === 'resets') return void client.resetAndDestroy();
    if (state === 'ends') return void client.end();
    if (state === 'is starting up') return void client.once('data', () => client.end(STARTING_UP));
    const upstream = connect(socketPath);
    const pair = { client, upstream };
    pairs.add(pair);
    upstream.on('error', () => undefined);
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => client.write(bytes));
    if (isStill) client.pause();
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      pairs.delete(pair);
      client.destroy();
    });
  });
  return {
    async listen(): Promise<number> {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return (server.address() as AddressInfo).port;
    },
    lose(fault: Fault): void {
      for (const { client } of pairs) {
        if (fault === 'reset after a failure') client.write(messageOf('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0'));
        if (fault === 'end') client.end();
        else if (fault !== 'nothing') client.resetAndDestroy();
      }
    },
    setState(next: ProxyState): void {
      state = next;
    },
    pause(still: boolean): void {
      isStill = still;
      for (const { client, upstream } of pairs) {
        for (const side of [client, upstream])
          if (still) side.pause();
          else side.resume();
      }
    },
    connections: () => pairs.size,
    close: () => void server.close(),
  };
}

function messageOf(type: string, body: string): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

const SETTLES_WITHIN_MS = 10_000;

describe('A pool whose connections are lost', { timeout: 240_000 }, () => {
  let dir: string;
  let server: EmbeddedPostgres;
  let proxy: ReturnType<typeof createFaultyProxy>;
  let url: string;
  let asked = 0;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evenfall-pool-'));
    server = await startEmbeddedPostgres({ dir, unsafeFast: true });
    assert.ok(server.target.kind === 'socket');
    const { socketDir, port, user, password, database } = server.target;
    proxy = createFaultyProxy(`${socketDir}/.s.PGSQL.${port}`);
    url = `postgres://${user}:${password}@127.0.0.1:${await proxy.listen()}/${database}`;
  });
  after(async () => {
    proxy.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Asks for a number and as many bytes as wanted; answers whether it was answered. Fails if it gets no answer, or the answer of another. */
  const ask = async (sql: Sql, bytes = 0): Promise<boolean> => {
    const number = ++asked;
    const isLate = { late: true } as const;
    let timer: NodeJS.Timeout | undefined;
    const lateness = new Promise<typeof isLate>((resolve) => (timer = setTimeout(resolve, SETTLES_WITHIN_MS, isLate)));
    const statement = sql<
      { number: number; length: number }[]
    >`SELECT ${number}::int AS number, length(${Buffer.alloc(bytes)}::bytea) AS length`;
    const settled = statement.then(
      (rows) => rows,
      () => undefined,
    );
    const result = await Promise.race([settled, lateness]).finally(() => clearTimeout(timer));
    if (result === undefined) return false;
    assert.ok(!('late' in result), 'a statement was never answered');
    assert.deepEqual([...result], [{ number, length: bytes }], 'a statement was given the answer of another');
    return true;
  };
  /** Asks again as soon as it fails, as a flush of an event log with records that wait does. */
  const askAgainAndAgain = async (sql: Sql, times: number, bytes: number): Promise<void> => {
    for (let i = 0; i < times; i++) await ask(sql, bytes);
  };
  const answersAgain = async (sql: Sql): Promise<void> => {
    const untilMs = performance.now() + SETTLES_WITHIN_MS;
    while (!(await ask(sql))) assert.ok(performance.now() < untilMs, 'the pool never answered again');
  };

  for (const max of [1, 4]) {
    it(`settles every statement with its own answer or a failure, and answers again (at most ${max})`, async () => {
      const sql = createPool({ kind: 'url', url }, { name: 'test', max });
      const step = fc.record({
        fault: fc.constantFrom<Fault>('reset', 'end', 'reset after a failure', 'nothing'),
        proxy: fc.constantFrom<ProxyState>('open', 'open', 'open', 'resets', 'ends', 'is starting up'),
        sizes: fc.array(fc.constantFrom(0, 0, 600, 1_100, 200_000), { minLength: 1, maxLength: 5 }),
        turns: fc.integer({ min: 0, max: 4 }),
        isInCheckPhase: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 2 }), async (steps) => {
          for (const { fault, proxy: found, sizes, turns, isInCheckPhase } of steps) {
            const asking = sizes.map((bytes) => askAgainAndAgain(sql, 2, bytes));
            for (let turn = 0; turn < turns; turn++) await new Promise(isInCheckPhase ? setImmediate : process.nextTick);
            proxy.setState(found);
            proxy.lose(fault);
            asking.push(askAgainAndAgain(sql, 2, 0));
            await Promise.all(asking);
            proxy.setState('open');
          }
          await answersAgain(sql);
        }),
        { numRuns: 12, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false },
      );
      await sql.end({ timeout: 1 });
      while (proxy.connections() > 0) await new Promise(setImmediate); // or the test runs out of time
    });
  }

  it('gives up a server that is paused, and answers when it goes on', async () => {
    const sql = createPool({ kind: 'url', url }, { name: 'test', max: 1 });
    assert.ok(await ask(sql));
    proxy.pause(true);
    await assert.rejects(answered(sql, 200, sql`SELECT 1`), { code: 'CONNECTION_DESTROYED' });
    proxy.pause(false);
    await answersAgain(sql);
    await sql.end({ timeout: 1 });
  });

  it('lets statements on other connections finish when one is lost', async () => {
    const sql = createPool({ kind: 'url', url }, { name: 'test', max: 3 });
    const [first, second] = await Promise.all([sql.reserve(), sql.reserve()]);
    const [row] = await first<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    const slow = second`SELECT 'finished' AS word, pg_sleep(0.5)`.execute();
    assert.equal((await sql`SELECT pg_terminate_backend(${row?.pid ?? 0}::int) AS done`.catch(() => [{ done: true }]))[0]?.['done'], true);
    assert.equal((await slow)[0]?.['word'], 'finished');
    second.release();
    assert.ok(await ask(sql));
    await sql.end({ timeout: 1 });
  });

  it('goes on listening', async () => {
    const sql = createPool({ kind: 'url', url }, { name: 'test', max: 1 });
    const received: string[] = [];
    let listens = 0;
    await sql.listen('test_channel', (text) => void received.push(text), () => { listens++; }); // prettier-ignore
    proxy.lose('reset');
    while (listens < 2) await new Promise(setImmediate);
    await answersAgain(sql);
    await sql`SELECT pg_notify('test_channel', 'after')`;
    while (!received.includes('after')) await new Promise(setImmediate);
    await sql.end({ timeout: 1 });
  });
});
