import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { tempDir } from '@evenfall/testkit';
import { runOnceMore, UNSTABLE } from './once-more.ts';

const given = process.env[UNSTABLE] ?? '';
let dir: ReturnType<typeof tempDir>;
let list: string;
beforeEach(() => {
  dir = tempDir('once-more');
  list = process.env[UNSTABLE] = join(dir.path, 'unstable');
});
afterEach(() => {
  dir.remove();
  process.env[UNSTABLE] = given;
});

test('a file that passes alone is named as unstable, and the run has passed', async () => {
  const ran: string[] = [];
  const run = (file: string): boolean => ran.push(file) > 0;
  assert.equal(await runOnceMore(['a.test.ts', 'b.test.ts'], run), true);
  assert.deepEqual(ran, ['a.test.ts', 'b.test.ts']);
  assert.equal(readFileSync(list, 'utf8'), 'a.test.ts\nb.test.ts\n');
});

test('a file that fails twice fails the run, and those before it stay named', async () => {
  assert.equal(await runOnceMore(['a.test.ts', 'b.test.ts', 'c.test.ts'], async (file) => file === 'a.test.ts'), false);
  assert.equal(readFileSync(list, 'utf8'), 'a.test.ts\n');
});

test('when many fail none is run again', async () => {
  const many = Array.from({ length: 11 }, (_, n) => `${n}.test.ts`);
  assert.equal(await runOnceMore(many, () => assert.fail('it is not to be run')), false);
  assert.equal(await runOnceMore([], () => assert.fail('there is none')), true);
});
