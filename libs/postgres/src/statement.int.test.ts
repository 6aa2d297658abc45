import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPool } from './pool.ts';
import type { Sql } from './sql.ts';
import { ask, part, raw } from './statement.ts';
import { rowsOf } from './rows-of.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/server.ts';

describe('statements', () => {
  let dir: string;
  let server: EmbeddedPostgres;
  let sql: Sql;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evenfall-statement-'));
    server = await startEmbeddedPostgres({ dir, unsafeFast: true });
    sql = createPool(server.target, { name: 'test', max: 1 });
  });
  after(async () => {
    await sql.end({ timeout: 1 });
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('are put together of parts, text and parameters, each parameter in its place', async () => {
    const both = (a: Parameters<typeof part>[1], b: Parameters<typeof part>[1]) => part`${a}::int + ${b}::int`;
    const rows = await ask(
      sql,
      part`SELECT ${both(1, 2)} AS three, ${[4, 5]}::int[] AS list, ${Buffer.from('six')}::bytea AS bytes, ${raw('7')} AS seven, ${true}::bool AND ${part`${'8'}::text = '8'`} AS eight`,
    );
    assert.deepEqual(rows, [{ three: 3, list: [4, 5], bytes: Buffer.from('six'), seven: 7, eight: true }]);
  });

  it('pass values of callers as parameters, whatever they look like', async () => {
    const text = "'; DROP TABLE x; --";
    assert.deepEqual(await ask(sql, part`SELECT ${text}::text AS text`), [{ text }]);
    const looksLikeOne = { strings: ['1; DROP TABLE x'], values: [] };
    const [row] = await ask<{ json: unknown }>(sql, part`SELECT ${looksLikeOne}::jsonb AS json`);
    assert.deepEqual(row?.json, looksLikeOne);
  });

  it('are prepared once for the same text', async () => {
    for (let n = 0; n < 3; n++) await ask(sql, part`SELECT ${n}::int AS prepared_once`);
    const [row] = await sql<
      { n: number }[]
    >`SELECT count(*)::int AS n FROM pg_prepared_statements WHERE statement LIKE '%AS prepared_once'`;
    assert.equal(row?.n, 1);
  });

  it('that fail say why, and those that were taken carry nothing any more', async () => {
    await assert.rejects(ask(sql, part`SELECT ${1}::int / 0`), /division by zero/);
    const query = sql<{ bytes: Buffer }[]>`SELECT ${Buffer.alloc(10_000)}::bytea AS bytes`;
    const [row] = await rowsOf(query);
    assert.equal(row?.bytes.length, 10_000);
    const kept = query as unknown as { args: unknown; parameters: unknown }; // by the names postgres.js gives them
    assert.deepEqual([kept.args, kept.parameters], [undefined, undefined]);
    assert.deepEqual([...(await query)], []);
  });
});
