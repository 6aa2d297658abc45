import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { tempDir } from '@evenfall/testkit';
import { type Ended, startProgram } from './testing/program.ts';

const dir = tempDir('faults');

/** Whether it has left with code 1, and said so many lines and no stack. */
function assertSaid({ code, stdout, stderr }: Ended, sentence: RegExp, lines = 1): void {
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, sentence);
  assert.doesNotMatch(stderr, /^\s+at /m);
  assert.equal(stderr.trimEnd().split('\n').length, lines, stderr);
}

describe('What only the operator can put right is one sentence', () => {
  after(() => dir.remove());

  it('a port that is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo; // it listens on TCP
    for (const setting of ['EVENFALL_HTTP_PORT', 'EVENFALL_GRPC_PORT', 'EVENFALL_METRICS_PORT']) {
      const ended = await startProgram({ EVENFALL_DATA_DIR: dir.path, [setting]: String(port) }).ended;
      assertSaid(ended, new RegExp(`^Port ${port} of 127\\.0\\.0\\.1 is taken .* set ${setting} `));
    }
    other.close();
  });

  it('an address of another machine', async () => {
    const env = { EVENFALL_DATA_DIR: dir.path, EVENFALL_HOST: '192.0.2.1', EVENFALL_ACCESS_KEYS: 'ops:correct-horse' };
    assertSaid(await startProgram(env).ended, /^192\.0\.2\.1 is no address of this machine\. Set EVENFALL_HOST/);
  });

  it('a data folder that is in use', async () => {
    const first = startProgram({ EVENFALL_DATA_DIR: join(dir.path, 'used'), EVENFALL_AGENT_DATA_DIR: join(dir.path, 'agent') });
    await first.ready;
    const { ended } = startProgram({ EVENFALL_DATA_DIR: join(dir.path, 'used') });
    assertSaid(await ended, new RegExp(`^Another Evenfall \\(process ${first.child.pid}\\) uses the data folder ${dir.path}/used\\. `));
    first.child.kill('SIGTERM');
    assert.equal((await first.ended).code, 0);
  });

  it('a data folder that cannot be made', async () => {
    writeFileSync(join(dir.path, 'file'), '');
    const { ended } = startProgram({ EVENFALL_DATA_DIR: join(dir.path, 'file') });
    assertSaid(await ended, /^The data folder \S+ cannot be made or written \(ENOTDIR\)\. Set EVENFALL_DATA_DIR/);
  });

  it('a database that cannot start, in its own words', async () => {
    const cluster = join(dir.path, 'old', 'postgres', 'cluster');
    mkdirSync(cluster, { recursive: true, mode: 0o700 });
    writeFileSync(join(cluster, 'PG_VERSION'), '9.6\n');
    const { ended } = startProgram({ EVENFALL_DATA_DIR: join(dir.path, 'old') });
    const { code, stderr } = await ended;
    assert.equal(code, 1);
    assert.match(stderr, /^The embedded Postgres cannot start\.\n {2}\S/);
    assert.doesNotMatch(stderr, /^\s+at /m);
  });

  it('a database of one’s own that cannot be reached', async () => {
    const { ended } = startProgram({ EVENFALL_DATA_DIR: dir.path, EVENFALL_POSTGRES_URL: 'postgres://user:secret@127.0.0.1:1/evenfall' });
    const said = await ended;
    assertSaid(said, /^The Postgres of EVENFALL_POSTGRES_URL cannot be used: /);
    assert.doesNotMatch(said.stderr, /secret/);
  });
});
