import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { createWorkerPool } from './index.ts';

const FILE = new URL('./testing/tasks.ts', import.meta.url);

describe('a pool of threads', () => {
  const pool = createWorkerPool(FILE, { size: 2, maxWaiting: 8, memoryMb: 64, withinMs: 2_000 });
  after(() => pool.close());

  it('runs tasks, more than it has threads', async () => {
    const lengths = await Promise.all([1, 2, 3, 4, 5, 6].map((bytes) => pool.run<number>('length', new Uint8Array(bytes))));
    assert.deepEqual(lengths, [1, 2, 3, 4, 5, 6]);
  });

  it('hands buffers over, there and back', async () => {
    const bytes = new Uint8Array(1_000).fill(7);
    const back = await pool.run<Uint8Array>('back', bytes, [bytes.buffer]);
    assert.equal(bytes.length, 0);
    assert.deepEqual([back.length, back[999]], [1_000, 7]);
  });

  it('passes refusals on as they are, and failures as failures', async () => {
    await assert.rejects(
      pool.run('refuse', 0),
      (error) => isRefusal(error) && error.reason === 'INVALID_FIELD' && error.metadata['field'] === 'x',
    );
    await assert.rejects(pool.run('fail', 0), /inner/);
  });

  it('outlives tasks that take too long, or the thread with them', async () => {
    await assert.rejects(pool.run('spin', 0), (error) => isRefusal(error) && error.reason === 'DEADLINE_EXCEEDED');
    await assert.rejects(pool.run('leave', 0), /ended by itself/);
    assert.equal(await pool.run('length', new Uint8Array(3)), 3);
  });

  it('refuses what would wait too long', async () => {
    const all = await Promise.allSettled(Array.from({ length: 14 }, () => pool.run('length', new Uint8Array(1))));
    const refused = all.filter((one) => one.status === 'rejected');
    assert.equal(refused.length, 4, 'two run, eight wait');
    assert.ok(refused.every(({ reason }) => isRefusal(reason) && reason.reason === 'SERVICE_UNAVAILABLE'));
  });
});
