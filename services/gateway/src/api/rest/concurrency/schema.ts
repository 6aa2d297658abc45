import { ProvisionedConcurrency_State } from '@evenfall/contracts/v1/function_service';
import { MOST_PROVISIONED } from '@evenfall/function-model';
import { type Static, Type } from '@sinclair/typebox';
import { VersionNumber } from '../json/fields.ts';
import { enumOf, named, orNull, ref, STRICT } from '../json/schema.ts';

const MAX_INT32 = 2_147_483_647;
export const ReservedBody = Type.Object(
  { memory_mb: Type.Integer({ minimum: 0, maximum: MAX_INT32, description: '0 turns the function off.' }) },
  STRICT,
);
export const ProvisionedBody = Type.Object({ instances: Type.Integer({ minimum: 1, maximum: MOST_PROVISIONED }) }, STRICT);

const Qualifier = { ...VersionNumber, description: 'Number of a published version.' };
export const OneVersion = Type.Object({ qualifier: Qualifier }, STRICT);
export const AnyVersion = Type.Object({ qualifier: Type.Optional(Qualifier) }, STRICT);

export const ReservedConcurrency = named(
  'ReservedConcurrency',
  Type.Object({
    memory_mb: orNull(Type.Integer({ description: '0: the function is off. null: it shares with all others.' })),
    total_mb: Type.Integer({ description: 'What all functions have together.' }),
    available_mb: Type.Integer({ description: 'What this function could have reserved at most.' }),
  }),
);
export type ReservedAnswer = Static<typeof ReservedConcurrency>;

export const ProvisionedConcurrency = named(
  'ProvisionedConcurrency',
  Type.Object({
    version: Type.String(),
    instances: Type.Integer({ description: 'How many are wanted.' }),
    available_instances: Type.Integer({ description: 'How many of them can run events, or run one now.' }),
    starting_instances: Type.Integer(),
    state: enumOf(ProvisionedConcurrency_State),
    reason: Type.String({ description: 'Why not all of them are available; empty when they are.' }),
  }),
);
export type ProvisionedAnswer = Static<typeof ProvisionedConcurrency>;

export const ProvisionedVersions = Type.Object({
  versions: Type.Array(ref(ProvisionedConcurrency)),
  unallocated_mb: Type.Integer(),
});
