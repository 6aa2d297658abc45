import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { startEmbeddedPostgres } from '@evenfall/postgres';

/** Names the folder of an embedded Postgres that has never been used, for copies. */
export const POSTGRES_TEMPLATE = 'EVENFALL_TEST_POSTGRES_TEMPLATE';

/** Makes such a folder. To make a cluster takes a second of a processor, a copy a twentieth of that. */
export async function makePostgresTemplate(dir: string): Promise<void> {
  const server = await startEmbeddedPostgres({ dir, unsafeFast: true });
  await server.stop();
}

/** Puts a copy of the template where an embedded Postgres is to be; does nothing where there is one, or where there is no template. */
export function copyPostgresTemplate(dir: string, template = process.env[POSTGRES_TEMPLATE]): void {
  if (!template || existsSync(dir)) return;
  mkdirSync(dirname(dir), { recursive: true, mode: 0o700 });
  const { status, stderr } = spawnSync('cp', ['-a', template, dir], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`The template of Postgres cannot be copied to ${dir}: ${stderr}`);
}
