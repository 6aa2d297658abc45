import type { AgentToken } from '@evenfall/contracts/v1/operator_service';
import { always, textOrNull } from '../json/values.ts';
import type { AgentTokenBody } from './schema.ts';

export function tokenJson(token: AgentToken): AgentTokenBody {
  return {
    id: token.id,
    agent_id: textOrNull(token.agentId),
    max_capacity_mb: token.maxCapacityMb === 0 ? null : token.maxCapacityMb,
    create_time: always(token.createTime),
    expire_time: always(token.expireTime),
    use_time: token.useTime ?? null,
    used_by_agent_id: textOrNull(token.usedByAgentId),
    revoke_time: token.revokeTime ?? null,
  };
}
