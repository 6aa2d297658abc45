import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { type Static, Type } from '@sinclair/typebox';
import { Moment, PageQuery, textWithoutNul, Time } from '../json/fields.ts';
import { enumOf, named, orNull, STRICT } from '../json/schema.ts';

export const AuditQuery = Type.Object(
  {
    ...PageQuery,
    key_id: Type.Optional(textWithoutNul('Only of this key.', 256)),
    action: Type.Optional(textWithoutNul('Only of this right, such as functions.write.', 256)),
    namespace: Type.Optional(textWithoutNul('Only in this namespace.', 256)),
    subject: Type.Optional(textWithoutNul('Only about this function, event, agent or key.', 256)),
    start_time: Type.Optional(Time),
    end_time: Type.Optional(Time),
  },
  STRICT,
);

export const AuditRecord = named(
  'AuditRecord',
  Type.Object({
    id: Type.String(),
    time: Moment,
    key_id: Type.String(),
    address: Type.String({ description: 'Where the request came from.' }),
    api: enumOf(AuditRecord_Api),
    action: Type.String({ description: 'The right it took.' }),
    operation: Type.String({ description: 'What was requested, by its name in that API.' }),
    namespace: orNull(Type.String()),
    subject: orNull(Type.String({ description: 'The function, event, agent or key.' })),
    outcome: Type.String({ description: '`OK`, or the reason of the refusal.' }),
  }),
);
export type AuditRecordBody = Static<typeof AuditRecord>;
