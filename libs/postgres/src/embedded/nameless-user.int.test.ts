import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

/** No account has it. */
const UID = 54_321;
const SERVER = new URL('./server.ts', import.meta.url).href;
/** Starts a server, asks it who it is, and says so. */
const SCRIPT = `
  const { startEmbeddedPostgres } = await import(${JSON.stringify(SERVER)});
  try {
    const server = await startEmbeddedPostgres({ dir: process.env.FOLDER, unsafeFast: true });
    await server.stop();
    console.log('started');
  } catch (error) {
    console.log(error.message);
  }`;

/** Runs the script as a user without a name, with programs of its own before those of the machine. */
function run(programs: Readonly<Record<string, string>> = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'evenfall-nameless-'));
  try {
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(join(dir, name), text);
      chmodSync(join(dir, name), 0o755);
    }
    chmodSync(dir, 0o755);
    const folder = mkdtempSync(join(dir, 'data-'));
    chownSync(folder, UID, UID);
    const as = ['--reuid', String(UID), '--regid', String(UID), '--clear-groups', process.execPath, '--input-type=module', '-e', SCRIPT];
    const env = { ...process.env, FOLDER: folder, PATH: `${dir}:${process.env['PATH'] ?? ''}` };
    const { stdout, stderr } = spawnSync('setpriv', as, { env, encoding: 'utf8', timeout: 60_000 });
    return `${stdout}${stderr}`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

// Only root can become a user that there is not.
describe('a user whose id has no name', { skip: process.getuid?.() !== 0 }, () => {
  it('runs a server, under the name of an account that a user namespace shows', () => {
    const said = run();
    if (!said.includes('user namespaces')) assert.match(said, /^started$/m);
  });

  it('is informed before the start where there are no user namespaces', () => {
    const said = run({ unshare: '#!/bin/sh\nexit 1\n' });
    assert.match(said, /the user id 54321 has no name on this machine .*EVENFALL_POSTGRES_URL/);
    assert.doesNotMatch(said, /initdb/);
  });
});
