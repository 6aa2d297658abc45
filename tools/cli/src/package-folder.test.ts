import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fromBufferPromise } from 'yauzl';
import { packageFolder } from './package-folder.ts';

const PLAIN = { withNodeModules: false };

describe('packaging a folder', () => {
  let dir = '';
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'evenfall-cli-'));
    for (const folder of ['lib', '.git', 'node_modules/x', '__pycache__']) mkdirSync(join(dir, folder), { recursive: true });
    for (const file of [
      'index.js',
      'function.json',
      'lib/a.js',
      'lib/function.json',
      '.git/HEAD',
      'node_modules/x/index.js',
      '__pycache__/a.pyc',
    ]) {
      writeFileSync(join(dir, file), file);
    }
    chmodSync(join(dir, 'index.js'), 0o755);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const entriesOf = async (zip: Buffer): Promise<Record<string, number>> => {
    const entries: Record<string, number> = {};
    const file = await fromBufferPromise(zip, { lazyEntries: true });
    for await (const entry of file.eachEntry()) entries[entry.fileName] = entry.externalFileAttributes >>> 16;
    return entries;
  };

  it('takes what the function needs and leaves the rest', async () => {
    assert.deepEqual(await entriesOf(await packageFolder(dir, PLAIN)), {
      'index.js': 0o100755,
      'lib/a.js': 0o100644,
      'lib/function.json': 0o100644,
    });
    assert.ok('node_modules/x/index.js' in (await entriesOf(await packageFolder(dir, { withNodeModules: true }))));
  });

  it('makes the same bytes of the same files', async () => {
    const first = await packageFolder(dir, PLAIN);
    utimesSync(join(dir, 'index.js'), 1, 1);
    assert.ok(first.equals(await packageFolder(dir, PLAIN)));
  });

  it('refuses links, which would not arrive as what they are', async () => {
    symlinkSync('/etc/hostname', join(dir, 'link'));
    await assert.rejects(packageFolder(dir, PLAIN), { exitCode: 2 });
    rmSync(join(dir, 'link'));
  });
});
