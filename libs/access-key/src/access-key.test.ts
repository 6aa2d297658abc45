import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { OperatorError } from '@evenfall/errors';
import { tempDir } from '@evenfall/testkit';
import { ensureKeyFile, findAccessKey, readKeyFile } from './index.ts';

const KEY = 'ann:a-secret-of-ann';

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = tempDir('access-key');
  try {
    await run(dir.path);
  } finally {
    dir.remove();
  }
}

const keep = (dir: string, text: string, mode = 0o600): void => {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'access-key'), text);
  chmodSync(join(dir, 'access-key'), mode);
};

describe('The key of a data folder', () => {
  it('is made once, for its owner alone, and kept', () =>
    inFolder(async (dir) => {
      const folder = join(dir, 'new', 'data');
      const made = await ensureKeyFile(folder);
      assert.match(made.key, /^local:[\w-]{43}$/);
      assert.equal(made.isNew, true);
      assert.equal(statSync(made.path).mode & 0o777, 0o600);
      assert.equal(readFileSync(made.path, 'utf8'), `${made.key}\n`);
      assert.deepEqual(await ensureKeyFile(folder), { ...made, isNew: false });
      assert.equal(await readKeyFile(folder), made.key);
      assert.deepEqual(readdirSync(folder), ['access-key'], 'no draft is left');
    }));

  it('has no more rights than that under any umask', () =>
    inFolder(async (dir) => {
      const before = process.umask(0);
      try {
        assert.equal(statSync((await ensureKeyFile(dir)).path).mode & 0o777, 0o600);
      } finally {
        process.umask(before);
      }
    }));

  it('is one, however many make it at once', () =>
    inFolder(async (dir) => {
      const made = await Promise.all(Array.from({ length: 20 }, () => ensureKeyFile(dir)));
      assert.equal(new Set(made.map(({ key }) => key)).size, 1);
      assert.equal(made.filter(({ isNew }) => isNew).length, 1);
    }));

  it('may be written by hand', () =>
    inFolder(async (dir) => {
      for (const text of [KEY, `${KEY}\n`]) {
        keep(dir, text);
        assert.equal((await ensureKeyFile(dir)).key, KEY);
      }
    }));

  it('is not used where others could have read or written it', () =>
    inFolder(async (dir) => {
      for (const mode of [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o777, 0o601]) {
        keep(dir, KEY, mode);
        await assert.rejects(ensureKeyFile(dir), (error) => error instanceof OperatorError && /mode \d+ lets others/.test(error.message));
      }
    }));

  it('is not used if another user owns it', { skip: process.geteuid?.() === 0 ? false : 'only root can give a file away' }, () =>
    inFolder(async (dir) => {
      const { chownSync } = await import('node:fs');
      keep(dir, KEY);
      chownSync(join(dir, 'access-key'), 65_534, 65_534);
      await assert.rejects(ensureKeyFile(dir), /belongs to user 65534/);
    }),
  );

  it('is not used if it is not one', () =>
    inFolder(async (dir) => {
      const texts = [
        '',
        '\n',
        'no-colon',
        'id:short',
        `${KEY}\n${KEY}`,
        `${KEY}\n\n`,
        ` ${KEY}`,
        'a b:secret-secret',
        `id:${'x'.repeat(300)}`,
        `${KEY}${'\n'.repeat(900)}`,
      ];
      for (const text of texts) {
        keep(dir, text);
        await assert.rejects(
          ensureKeyFile(dir),
          (error) => error instanceof OperatorError && /not one line/.test(error.message) && !error.message.includes(KEY),
          JSON.stringify(text),
        );
        assert.equal(readFileSync(join(dir, 'access-key'), 'utf8'), text, 'it stays as it was');
      }
    }));

  it('is not followed to another place', () =>
    inFolder(async (dir) => {
      keep(join(dir, 'other'), KEY);
      mkdirSync(join(dir, 'data'));
      symlinkSync(join(dir, 'other', 'access-key'), join(dir, 'data', 'access-key'));
      await assert.rejects(ensureKeyFile(join(dir, 'data')), /symbolic link/);
      mkdirSync(join(dir, 'folder', 'access-key'), { recursive: true });
      await assert.rejects(ensureKeyFile(join(dir, 'folder')), /not a file/);
    }));
});

describe('A caller', () => {
  it('takes the key that is set, then that of the data folder that is set, then that of the repository', () =>
    inFolder(async (dir) => {
      const [seen, own] = [join(dir, 'seen'), join(dir, 'own')];
      keep(seen, 'seen:secret-secret');
      keep(own, 'own:secret-secret');
      const find = (env: Record<string, string>, url = 'http://127.0.0.1:8080') => findAccessKey({ env, url, ownDataDir: own });
      assert.equal(await find({ EVENFALL_ACCESS_KEY: KEY, EVENFALL_DATA_DIR: seen }), KEY);
      assert.equal(await find({ EVENFALL_ACCESS_KEY: '', EVENFALL_DATA_DIR: seen }), 'seen:secret-secret');
      assert.equal(await find({ EVENFALL_DATA_DIR: join(dir, 'nowhere') }), 'own:secret-secret');
      assert.equal(await find({}), 'own:secret-secret');
      assert.equal(existsSync(join(dir, 'nowhere')), false);
      assert.equal(await findAccessKey({ env: {}, url: 'http://[::1]:1', ownDataDir: join(dir, 'nowhere') }), undefined);
    }));

  it('sends the key of a file to no other machine', () =>
    inFolder(async (dir) => {
      keep(dir, KEY);
      const at = (url: string, env: Record<string, string> = {}) => findAccessKey({ env, url, ownDataDir: dir });
      for (const url of ['http://localhost:1', 'http://127.0.0.1', 'http://127.1.2.3:9', 'http://[::1]:8080/'])
        assert.equal(await at(url), KEY, url);
      for (const url of [
        'http://10.0.0.1:8080',
        'https://evil.example',
        'http://127.0.0.1.evil.example',
        'http://127.0.0.1@evil.example',
        'nonsense',
      ]) {
        assert.equal(await at(url), undefined, url);
        assert.equal(await at(url, { EVENFALL_DATA_DIR: dir }), undefined, url);
        assert.equal(await at(url, { EVENFALL_ACCESS_KEY: KEY }), KEY, 'what is set is meant');
      }
    }));
});
