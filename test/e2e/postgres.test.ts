// A Postgres of one's own, of every version that is supported, over TLS, with a role that may do nothing but this.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPool, type EmbeddedPostgres, startEmbeddedPostgres } from '@evenfall/postgres';
import { tempDir } from '@evenfall/testkit';
import { freePort } from '@evenfall/testkit/kafka';
import { OLDER_POSTGRES, olderPostgres, type OlderPostgres } from '@evenfall/testkit/postgres-version';
import { startStack } from '../support/stack.ts';

const FUNCTIONS = '/v1/namespaces/default/functions';
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl) process.stderr.write('Postgres over TLS is not tested: there is no openssl to make a certificate with.\n');

for (const major of Object.keys(OLDER_POSTGRES).map(Number) as OlderPostgres[]) {
  describe(`Postgres ${major}`, { timeout: 180_000 }, () => {
    const dir = tempDir(`postgres-${major}`);
    let server: EmbeddedPostgres;
    let port: number;
    let password: string;
    const secured = hasOpenssl ? `?sslmode=verify-full&sslrootcert=${join(dir.path, 'tls', 'cert.pem')}` : '';
    const url = (user: string, secret: string, database: string, more = secured): string =>
      `postgres://${user}:${secret}@127.0.0.1:${port}/${database}${more}`;

    before(async () => {
      const binaries = await olderPostgres(major);
      port = await freePort();
      const first = await startEmbeddedPostgres({ dir: dir.path, binaries });
      await first.stop(); // its cluster is made: now it is known whose files the server may read
      const owner = statSync(join(dir.path, 'cluster'));
      server = await startEmbeddedPostgres({
        dir: dir.path,
        binaries,
        settings: { listen_addresses: '127.0.0.1', port: String(port), ...(hasOpenssl ? certificate(join(dir.path, 'tls'), owner) : {}) },
      });
      password = readFileSync(join(dir.path, 'password'), 'utf8').trim();
      const admin = createPool({ kind: 'url', url: url('evenfall', password, 'postgres') }, { name: 'admin', max: 1 });
      await admin`CREATE DATABASE app`;
      await admin.end();
      await asAdministrator(url('evenfall', password, 'app'), 'least-rights');
    });
    after(async () => {
      await server.stop();
      dir.remove();
    });

    it('holds all of it for a role with least rights', async () => {
      const stack = await startStack({ env: { EVENFALL_POSTGRES_URL: url('evenfall_app', 'least-rights', 'app') } });
      try {
        const { rest } = stack;
        const echo = await rest.deployExample('echo');
        const killer = await rest.deployExample('graceful-killer');
        const ids = await rest.sendBatch(
          echo,
          Array.from({ length: 50 }, (_, n) => ({ payload: { n } })),
        );
        for (const id of ids) assert.equal((await rest.ended(id)).state, 'SUCCEEDED');
        const page = await rest.call<{ total_size: number; events: unknown[] }>(
          'GET',
          `${FUNCTIONS}/${echo}/events?show_total_size=true&page_size=7`,
        );
        assert.deepEqual([page.body.total_size, page.body.events.length], [50, 7]);
        const counts = await rest.call<{ counts: unknown[] }>('GET', '/v1/namespaces/default/events:count');
        assert.deepEqual(counts.body.counts, [{ function: echo, state: 'SUCCEEDED', count: 50 }]);
        const { id } = await rest.send(killer, {});
        await rest.reaches(id, 'RUNNING');
        await rest.terminate(id, { graceful: true, grace_period: '5s' });
        assert.equal((await rest.ended(id)).state, 'TERMINATED');
        assert.ok((await rest.logs(id)).length > 3);
        const purge = await rest.call<{ partitions: unknown[] }>('POST', '/v1/purge', { dry_run: true, time: '2100-01-01T00:00:00Z' });
        assert.ok(purge.body.partitions.length >= 27);
        const sql = createPool({ kind: 'url', url: url('evenfall', password, 'app') }, { name: 'test', max: 1 });
        const [row] = await sql<{ n: number; secure: number }[]>`
          SELECT count(*)::int AS n, count(*) FILTER (WHERE s.ssl)::int AS secure FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE usename = 'evenfall_app'`;
        await sql.end();
        assert.ok((row?.n ?? 0) > 0);
        assert.equal(row?.secure, hasOpenssl ? row?.n : 0, 'every connection is secured');
      } finally {
        await stack.stop();
        await stack.dispose();
      }
    });

    it('is not connected to when it cannot prove who it is', { skip: !hasOpenssl }, async () => {
      const wrong = createPool({ kind: 'url', url: url('evenfall', password, 'app', '?sslmode=verify-full') }, { name: 'test', max: 1 });
      await assert.rejects(wrong`SELECT 1`, /self-signed certificate/);
      await wrong.end();
      const careless = createPool({ kind: 'url', url: url('evenfall', password, 'app', '?sslmode=require') }, { name: 'test', max: 1 });
      assert.equal((await careless`SELECT 1 AS one`)[0]?.['one'], 1);
      await careless.end();
    });
  });
}

/** Runs deploy/postgres/role.sql as psql would, which is not part of what npm installs. */
async function asAdministrator(target: string, password: string): Promise<void> {
  const text = readFileSync(new URL('../../deploy/postgres/role.sql', import.meta.url), 'utf8').replaceAll(":'password'", `'${password}'`);
  const sql = createPool({ kind: 'url', url: target }, { name: 'admin', max: 1 });
  for (const part of text.replaceAll(/^--.*$/gm, '').split(/;\s*$|\\gexec\s*$/m)) {
    const statement = part.trim();
    if (statement === '') continue;
    const rows = await sql.unsafe<Record<string, string>[]>(statement);
    if (statement.startsWith('SELECT')) for (const row of rows) await sql.unsafe(Object.values(row)[0] ?? '');
  }
  await sql.end();
}

function certificate(dir: string, { uid, gid }: { readonly uid: number; readonly gid: number }): Record<string, string> {
  mkdirSync(dir);
  chmodSync(dir, 0o755);
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  chmodSync(key, 0o600);
  if (process.getuid?.() === 0) for (const file of [cert, key]) chownSync(file, uid, gid);
  return { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key };
}
