import type { AgentToken } from '@evenfall/contracts/v1/operator_service';
import type { Sql } from '@evenfall/postgres';
import type { AgentTokenStore } from '../../ports.ts';
import { guarded } from './function-store.ts';

type Row = {
  readonly id: string;
  readonly agent_id: string;
  readonly max_capacity_mb: number;
  readonly expire_time: Date;
  readonly create_time: Date;
  readonly use_time: Date | null;
  readonly used_by: string | null;
  readonly revoke_time: Date | null;
};

/** Above all ids of UUIDs. */
const NEWEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Keeps the tokens of agents in Postgres. Each call is one statement. */
export function createAgentTokenStore(sql: Sql): AgentTokenStore {
  const columns = sql`id, agent_id, max_capacity_mb, expire_time, create_time, use_time, used_by, revoke_time`;
  return {
    insert: ({ id, agentId, maxCapacityMb, expireTime, createTime }, secretSha256, most) =>
      guarded(async () => {
        const rows = await sql`
          INSERT INTO registry.agent_token (id, secret_sha256, agent_id, max_capacity_mb, expire_time, create_time)
          SELECT ${id}, ${secretSha256}, ${agentId}, ${maxCapacityMb}, ${expireTime ?? null}::timestamptz, ${createTime ?? null}::timestamptz
          WHERE (SELECT count(*) FROM registry.agent_token) < ${most}::int RETURNING id`;
        return rows.length > 0;
      }),

    list: (before, limit) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT ${columns} FROM registry.agent_token WHERE id < ${before || NEWEST} ORDER BY id DESC LIMIT ${limit}`;
        return rows.map(tokenOf);
      }),

    use: ({ secretSha256, keySha256, agentId, madeAgentId, now }) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          UPDATE registry.agent_token SET
            use_time = coalesce(use_time, ${now}),
            used_by = coalesce(used_by, nullif(agent_id, ''), ${madeAgentId}),
            used_key_sha256 = ${keySha256}
          WHERE secret_sha256 = ${secretSha256} AND revoke_time IS NULL AND expire_time > ${now}
            AND (use_time IS NULL OR used_key_sha256 = ${keySha256})
            AND (${agentId}::text = '' OR ${agentId}::text = coalesce(used_by, agent_id))
          RETURNING ${columns}`;
        return rows[0] && tokenOf(rows[0]);
      }),

    lastUsedBy: (agentId) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT ${columns} FROM registry.agent_token WHERE used_by = ${agentId} ORDER BY use_time DESC LIMIT 1`;
        return rows[0] && tokenOf(rows[0]);
      }),

    revoke: (id, now) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          UPDATE registry.agent_token SET revoke_time = coalesce(revoke_time, ${now}) WHERE id = ${id} RETURNING ${columns}`;
        return rows[0] && tokenOf(rows[0]);
      }),

    sweep: (before) =>
      guarded(async () => {
        const { count } = await sql`
          DELETE FROM registry.agent_token WHERE revoke_time < ${before} OR (use_time IS NULL AND expire_time < ${before})`;
        return count;
      }),
  };
}

function tokenOf(row: Row): AgentToken {
  return {
    id: row.id,
    agentId: row.agent_id,
    maxCapacityMb: row.max_capacity_mb,
    createTime: row.create_time,
    expireTime: row.expire_time,
    useTime: row.use_time ?? undefined,
    usedByAgentId: row.used_by ?? '',
    revokeTime: row.revoke_time ?? undefined,
  };
}
