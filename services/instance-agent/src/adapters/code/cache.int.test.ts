import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openCodeCache } from './cache.ts';

const MB = 1024 * 1024;
const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(64)) as [string, string, string];

describe('The cache of code packages', () => {
  let root = '';
  const put = (name: string): void => {
    mkdirSync(join(root, name, 'lib'), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, name, 'lib', 'data'), Buffer.alloc(MB));
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'evenfall-cache-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('removes what has not been used for longest, and nothing that is used', async () => {
    for (const name of [A, B, C]) put(name);
    const cache = openCodeCache(root, 2.5 * MB);
    for (const name of [A, B, C, A]) cache.touch(name);
    assert.equal(await cache.shrink(new Set([B])), 1);
    assert.deepEqual([A, B, C].map(cache.has), [true, true, false]);
    assert.deepEqual(readdirSync(root).sort(), [A, B]);
    assert.equal(await cache.shrink(new Set()), 0);
    assert.equal(await openCodeCache(root, 0).shrink(new Set([A, B])), 0);
  });

  it('counts what an earlier session left, and clears away what is no package', async () => {
    for (const name of [A, `gone-${B}`]) put(name);
    writeFileSync(join(root, C), 'a file');
    const cache = openCodeCache(root, 0);
    assert.deepEqual(readdirSync(root), [A]);
    assert.equal(await cache.shrink(new Set()), 1);
    assert.equal(existsSync(join(root, A)), false);
  });

  it('does not trust a folder others could have written to', () => {
    put(A);
    const cache = openCodeCache(root, MB);
    assert.equal(cache.has(A), true);
    chmodSync(join(root, A), 0o777);
    assert.equal(cache.has(A), false);
  });
});
