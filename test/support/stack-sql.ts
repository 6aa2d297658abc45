import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, type Sql } from '@evenfall/postgres';
import type { Stack } from './stack.ts';

/** Looks into the database of a stack; end it before the stack is stopped. */
export function stackSql(stack: Stack): Sql {
  const dir = join(stack.dataDir, 'postgres');
  const socketDir = readFileSync(join(dir, 'cluster', 'postmaster.pid'), 'utf8').split('\n')[4] ?? '';
  const password = readFileSync(join(dir, 'password'), 'utf8').trim();
  return createPool({ kind: 'socket', socketDir, port: 5432, user: 'evenfall', password, database: 'postgres' }, { name: 'test', max: 2 });
}
