import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeZip, type MadeEntry, pythonPackage } from '../testing/zip-maker.ts';
import { PACKAGE_LIMITS } from '@evenfall/function-model';
import { inspectPackage } from './zip.ts';

const SMALL = { maxZipBytes: 100_000, maxUnpackedBytes: 50_000, maxEntries: 10 };
const OK: MadeEntry = { name: 'index.py', data: 'x' };

describe('inspecting a code package', () => {
  it('names the files of a sound one', async () => {
    const zip = makeZip([OK, { name: 'lib/', mode: 0o040755, method: 0 }, { name: 'lib/a b é.js', data: 'y', method: 0 }]);
    assert.deepEqual([...(await inspectPackage(zip, PACKAGE_LIMITS)).files], ['index.py', 'lib/a b é.js']);
  });

  const refused: readonly (readonly [string, readonly MadeEntry[], RegExp])[] = [
    ['no entries', [], /holds no files/],
    ['folders only', [{ name: 'a/', method: 0 }], /holds no files/],
    ['an absolute path', [{ name: '/etc/passwd' }], /absolute/],
    ['a drive', [{ name: 'C:/x' }], /absolute/],
    ['a path that leads out', [{ name: 'a/../../x' }], /leads out|relative path/],
    ['only dots', [{ name: '..' }], /leads out|relative path/],
    ['a backslash', [{ name: 'a\\..\\x' }], /backslash|invalid characters/],
    ['a NUL in a name', [{ name: 'a\0.py' }], /control character/],
    ['an empty part', [{ name: 'a//b' }], /empty part/],
    ['a long name', [{ name: 'a/'.repeat(300) + 'b' }], /512/],
    ['a long part of a name', [{ name: `a/${'b'.repeat(256)}/c` }], /255/],
    ['a file name that no disk takes', [{ name: 'é'.repeat(128) }], /255/],
    ['a folder name that no disk takes', [OK, { name: `${'d'.repeat(256)}/`, method: 0 }], /255/],
    ['a dot', [{ name: './a' }], /empty part/],
    ['a folder twice, once as a file', [{ name: 'a/b/', method: 0 }, { name: 'a/b' }], /twice/],
    ['a symbolic link', [OK, { name: 'l', data: '/etc', mode: 0o120777 }], /link/],
    ['a device', [{ name: 'd', mode: 0o020666 }], /link or a device/],
    ['an encrypted entry', [{ ...OK, flags: 1 }], /encrypted/],
    ['another method', [{ ...OK, method: 12 }], /method 12/],
    ['a name twice', [OK, OK], /twice/],
    ['a name as file and as folder', [OK, { name: 'index.py/', method: 0 }], /twice|file and a folder/],
    ['a file that others lie in', [{ name: 'a' }, { name: 'a/b' }], /file and a folder/],
    ['a file where others lie', [{ name: 'a/b/c' }, { name: 'a/b' }], /file and a folder/],
    ['too many entries', Array.from({ length: 11 }, (_, i) => ({ name: `f${i}` })), /more than 10 entries/],
    ['a wrong checksum', [{ ...OK, claimedCrc: 1 }], /checksum/],
    ['more than it says', [{ ...OK, data: Buffer.alloc(40_000), claimedSize: 10 }], /not a sound zip/],
    ['less than it says', [{ ...OK, claimedSize: 10 }], /not a sound zip/],
  ];
  for (const [name, entries, detail] of refused) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(
        inspectPackage(makeZip(entries), SMALL),
        (error: Error) => 'reason' in error && error.reason === 'INVALID_CODE_PACKAGE' && detail.test(error.message),
      );
    });
  }

  for (const [name, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.alloc(500, 7)],
    ['half of one', pythonPackage().subarray(0, 60)],
  ] as const) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(inspectPackage(bytes, SMALL), { reason: 'INVALID_CODE_PACKAGE' });
    });
  }

  it('refuses what unpacks to too much, whatever it says of itself', async () => {
    const bomb = [0, 1, 2].map((i) => ({ name: `b${i}`, data: Buffer.alloc(20_000) }));
    await assert.rejects(inspectPackage(makeZip(bomb), SMALL), { reason: 'CODE_PACKAGE_TOO_LARGE' });
    await assert.rejects(inspectPackage(makeZip([{ name: 'b', data: Buffer.alloc(60_000), claimedSize: 0 }]), SMALL));
    await assert.rejects(inspectPackage(Buffer.alloc(100_001), SMALL), { reason: 'CODE_PACKAGE_TOO_LARGE' });
  });
});
