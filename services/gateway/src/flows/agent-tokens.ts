import type { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import type { ClientOf } from '@evenfall/rpc';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

type Operator = ClientOf<typeof OperatorServiceService>;
/** Operations on tokens of agents, which the registry has. */
export type AgentTokenFlows = {
  readonly [K in 'createAgentToken' | 'listAgentTokens' | 'revokeAgentToken']: (
    request: Parameters<Operator[K]>[0],
  ) => ReturnType<Operator[K]>;
};

export function agentTokenFlows({ registry }: Gateway): AgentTokenFlows {
  return {
    createAgentToken: (request) => registry.createAgentToken(request, { timeoutMs: TIMEOUTS_MS.change }),
    listAgentTokens: (request) => registry.listAgentTokens(request, { timeoutMs: TIMEOUTS_MS.read }),
    revokeAgentToken: (request) => registry.revokeAgentToken(request, { timeoutMs: TIMEOUTS_MS.change }),
  };
}
