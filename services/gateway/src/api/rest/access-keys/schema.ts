import { AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { type Static, Type } from '@sinclair/typebox';
import { Duration, Moment, NameOrAll, textWithoutNul } from '../json/fields.ts';
import { enumOf, named, orNull, ref, STRICT } from '../json/schema.ts';

export const KeyPath = Type.Object({ key_id: Type.String({ examples: ['ci'] }) });
export const CreateBody = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        pattern: '^[\\w.-]{1,64}$',
        'x-rule': '1 to 64 letters, digits, ".", "_" and "-"',
        description: 'Without one it is made. Receipts and the audit log name it.',
      }),
    ),
    description: Type.Optional(textWithoutNul('What it is for.', 256)),
    role: enumOf(AccessKey_Role),
    namespaces: Type.Array(NameOrAll, { minItems: 1, maxItems: 100, description: 'Where it is valid, or "*" alone for all.' }),
    show_payloads: Type.Optional(
      Type.Boolean({ default: false, description: 'For the role VIEWER: whether it sees payloads, results, errors and logs.' }),
    ),
    scf: Type.Optional(Type.Boolean({ default: false, description: 'Whether it can sign requests of SCF.' })),
    time_to_live: Type.Optional({ ...Duration, description: '1 s to 3,650 d; without, it does not expire.' }),
  },
  STRICT,
);
export const RotateBody = Type.Object(
  {
    overlap: Type.Optional({ ...Duration, description: 'How long the present secret stays valid too: up to 30 d; by default not at all.' }),
  },
  STRICT,
);

export const AccessKey = named(
  'AccessKey',
  Type.Object({
    id: Type.String(),
    description: Type.String(),
    role: enumOf(AccessKey_Role),
    namespaces: Type.Array(Type.String()),
    show_payloads: Type.Boolean(),
    scf: Type.Boolean(),
    create_time: Moment,
    expire_time: orNull(Moment),
    rotate_time: orNull(Moment),
    previous_secret_expire_time: orNull(Moment),
    revoke_time: orNull(Moment),
  }),
);
export type AccessKeyBody = Static<typeof AccessKey>;

export const NewAccessKey = named(
  'NewAccessKey',
  Type.Object({ access_key: ref(AccessKey), secret: Type.String({ description: 'Callers send `Authorization: Bearer id:secret`.' }) }),
);
export type NewAccessKeyBody = Static<typeof NewAccessKey>;
