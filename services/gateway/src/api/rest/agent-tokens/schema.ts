import { AGENT_ID, AGENT_ID_RULE, HOST_LIMITS } from '@evenfall/function-model';
import { type Static, Type } from '@sinclair/typebox';
import { Duration, Moment } from '../json/fields.ts';
import { named, orNull, ref, STRICT } from '../json/schema.ts';

export const TokenPath = Type.Object({ token_id: Type.String({ examples: ['01a20078-884d-7000-927a-dc0be50de4d0'] }) });
export const CreateBody = Type.Object(
  {
    agent_id: Type.Optional(
      Type.String({
        pattern: AGENT_ID.source,
        'x-rule': AGENT_ID_RULE,
        description: 'The agent it is for. Without one the id is made when it joins.',
      }),
    ),
    max_capacity_mb: Type.Optional(
      Type.Integer({
        minimum: HOST_LIMITS.memoryMb.least,
        maximum: HOST_LIMITS.memoryMb.most,
        description: 'Megabytes the agent counts for at most; without, as the scheduler says.',
      }),
    ),
    time_to_live: Type.Optional({ ...Duration, description: '1 s to 7 d; 1 h by default.' }),
  },
  STRICT,
);

export const AgentToken = named(
  'AgentToken',
  Type.Object({
    id: Type.String(),
    agent_id: orNull(Type.String()),
    max_capacity_mb: orNull(Type.Integer()),
    create_time: Moment,
    expire_time: Moment,
    use_time: orNull(Moment),
    used_by_agent_id: orNull(Type.String()),
    revoke_time: orNull(Moment),
  }),
);
export type AgentTokenBody = Static<typeof AgentToken>;

export const NewAgentToken = named(
  'NewAgentToken',
  Type.Object({
    agent_token: ref(AgentToken),
    secret: Type.String({ description: 'The agent is started with it as EVENFALL_AGENT_JOIN_TOKEN.' }),
    authority_sha256: Type.String({ description: 'And with this as EVENFALL_AGENT_JOIN_CA.' }),
  }),
);
