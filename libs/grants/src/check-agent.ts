import { refuse } from '@evenfall/errors';
import { agentIdentity } from '@evenfall/peer-identity';

/** An agent speaks for itself alone, where it has a certificate: `caller` is the identity in that. Throws CALLER_NOT_ALLOWED. */
export function checkAgent(caller: string | undefined, agentId: string, service: string): void {
  if (caller !== undefined && caller !== agentIdentity(agentId))
    throw refuse('CALLER_NOT_ALLOWED', { caller, method: `the ${service} as agent ${agentId.slice(0, 128)}` });
}
