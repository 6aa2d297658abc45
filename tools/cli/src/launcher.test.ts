import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../bin/evenfall', import.meta.url));

describe('the launcher', () => {
  it('starts the command and hands on its exit code', () => {
    const help = spawnSync(process.execPath, [LAUNCHER, '--help'], { encoding: 'utf8' });
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, /^Usage: evenfall/);
    assert.equal(spawnSync(process.execPath, [LAUNCHER, 'nonsense']).status, 2);
  });

  it('gives an old Node the one of the repository', () => {
    // What an old Node would see: a version that cannot strip types.
    const pretend = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } });";
    const old = spawnSync(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, LAUNCHER, 'nonsense'], {
      encoding: 'utf8',
    });
    assert.equal(old.status, 2, old.stderr);
    assert.match(old.stderr, /unknown command/);
  });
});
