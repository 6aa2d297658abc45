// Keeps the Postgres of a cluster: `node tools/cluster/postgres.ts <folder>`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool, type PostgresTarget, socketUrl, startEmbeddedPostgres } from '@evenfall/postgres';
import { keep } from './keeper.ts';

/** How long those who use it may take to leave before it stops. */
const LEAVE_MS = 15_000;

/** Waits until no client uses the server any more, for a limited time. */
async function lastLeft(target: PostgresTarget): Promise<void> {
  const sql = createPool(target, { name: 'keeper', max: 1 });
  const until = Date.now() + LEAVE_MS;
  while (Date.now() < until) {
    const [row] = await sql<{ others: number }[]>`
      SELECT count(*)::int AS others FROM pg_stat_activity WHERE application_name LIKE 'evenfall %' AND pid <> pg_backend_pid()`;
    if (row?.others === 0) break;
    await sleep(100);
  }
  await sql.end({ timeout: 1 });
}

await keep('postgres', async () => {
  const dir = process.argv[2] ?? '.evenfall/postgres';
  const server = await startEmbeddedPostgres({ dir });
  if (server.target.kind !== 'socket') throw new Error('The embedded Postgres is not where it should be');
  const { target } = server;
  return {
    addresses: { url: socketUrl(target), server_pid: Number(readFileSync(join(dir, 'cluster', 'postmaster.pid'), 'utf8').split('\n')[0]) },
    died: server.died,
    async stop() {
      await lastLeft(target).catch(() => undefined); // it does not answer, so it serves no client any more
      await server.stop();
    },
  };
});
