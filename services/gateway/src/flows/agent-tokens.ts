import type { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import type { ClientOf } from '@evenfall/rpc';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Gateway } from '../ports.ts';

type Operator = ClientOf<typeof OperatorServiceService>;
/** What the doors ask about tokens of agents: the registry has them. */
export type AgentTokenFlows = {
  readonly [K in 'createAgentToken' | 'listAgentTokens' | 'revokeAgentToken']: (
    request: Parameters<Operator[K]>[0],
  ) => ReturnType<Operator[K]>;
};

export function agentTokenFlows({ registry }: Gateway): AgentTokenFlows {
  return {
    createAgentToken: (request) => registry.createAgentToken(request, { timeoutMs: LIMITS_MS.change }),
    listAgentTokens: (request) => registry.listAgentTokens(request, { timeoutMs: LIMITS_MS.read }),
    revokeAgentToken: (request) => registry.revokeAgentToken(request, { timeoutMs: LIMITS_MS.change }),
  };
}
