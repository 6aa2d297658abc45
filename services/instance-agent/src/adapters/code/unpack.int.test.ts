import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { ZipFile } from 'yazl';
import { faultOfEntry, unpack } from './unpack.ts';

describe('Unpacking', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'evenfall-unpack-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const unpackEntries = async (name: string, add: (zip: ZipFile) => void, patch?: (bytes: Buffer) => void): Promise<string> => {
    const zip = new ZipFile();
    add(zip);
    zip.end();
    const bytes = await buffer(zip.outputStream);
    patch?.(bytes);
    await writeFile(join(folder, `${name}.zip`), bytes);
    const target = await mkdtemp(join(folder, name));
    await unpack(join(folder, `${name}.zip`), target);
    return target;
  };

  it('keeps folders, content and executable bits', async () => {
    const target = await unpackEntries('good', (zip) => {
      zip.addBuffer(Buffer.from('hello'), 'a/b.txt');
      zip.addBuffer(Buffer.from('#!/bin/sh'), 'bootstrap', { mode: 0o100755 });
    });
    assert.equal(await readFile(join(target, 'a/b.txt'), 'utf8'), 'hello');
    assert.equal((await stat(join(target, 'bootstrap'))).mode & 0o777, 0o755);
    assert.deepEqual((await readdir(target)).sort(), ['a', 'bootstrap']);
  });

  it('refuses a way out of the package', async () => {
    const patch = (bytes: Buffer): void => {
      for (let at = bytes.indexOf('aa/bad'); at >= 0; at = bytes.indexOf('aa/bad', at + 1)) bytes.write('../bad', at);
    };
    await assert.rejects(unpackEntries('out', (zip) => zip.addBuffer(Buffer.from('x'), 'aa/bad'), patch));
  });

  it('refuses links', async () => {
    await assert.rejects(
      unpackEntries('link', (zip) => zip.addBuffer(Buffer.from('/etc/passwd'), 'link', { mode: 0o120777 })),
      /neither a file nor a folder/,
    );
  });

  it('names what is wrong with an entry', () => {
    assert.equal(faultOfEntry('a/b.py', 0o100644), undefined);
    for (const bad of ['', '/etc/x', '../x', 'a/../../x', 'a\\b', 'C:/x']) assert.match(faultOfEntry(bad, 0) ?? '', /relative|leaves/);
    assert.match(faultOfEntry('pipe', 0o010644) ?? '', /neither/);
  });
});
