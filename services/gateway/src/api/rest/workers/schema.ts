import { Agent_State, Instance_State } from '@evenfall/contracts/v1/operator_service';
import { type Static, Type } from '@sinclair/typebox';
import { Duration, Moment, PageQuery } from '../json/fields.ts';
import { enumOf, named, orNull, STRICT } from '../json/schema.ts';

export const AgentPath = Type.Object({ agent_id: Type.String() });
export const DrainBody = Type.Object({ deadline: Type.Optional(Duration) }, STRICT);
export const InstanceQuery = Type.Object({ ...PageQuery, agent_id: Type.Optional(Type.String({ maxLength: 128 })) }, STRICT);

export const Agent = named(
  'Agent',
  Type.Object({
    id: Type.String(),
    capacity_mb: Type.Integer(),
    used_mb: Type.Integer(),
    temporary_mb: Type.Integer({ description: 'What temporary files of its instances hold of its memory now, beside `used_mb`.' }),
    instance_count: Type.Integer(),
    attempt_count: Type.Integer(),
    attach_time: orNull(Moment),
    state: enumOf(Agent_State),
    drain_deadline_time: orNull(Moment),
    abilities: Type.Array(Type.Object({ name: Type.String(), available: Type.Boolean(), detail: Type.String() }), {
      description: 'What its host offers to isolate functions and to bound what they use.',
    }),
  }),
);
export type AgentBody = Static<typeof Agent>;

export const Instance = named(
  'Instance',
  Type.Object({
    id: Type.String(),
    agent_id: Type.String(),
    namespace: Type.String(),
    function: Type.String(),
    version: Type.String(),
    state: enumOf(Instance_State),
    event_id: orNull(Type.String()),
    start_time: orNull(Moment),
  }),
);
export type InstanceBody = Static<typeof Instance>;
