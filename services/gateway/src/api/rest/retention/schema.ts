import { ViewPartition_Kind } from '@evenfall/contracts/v1/operator_service';
import { type Static, Type } from '@sinclair/typebox';
import { Moment, Time } from '../json/fields.ts';
import { conditions, enumOf, has, named, orNull, ref, STRICT } from '../json/schema.ts';

export const PurgeBody = Type.Object(
  {
    dry_run: Type.Optional(Type.Boolean({ default: false, description: 'Drop nothing, only show what would be dropped.' })),
    time: Type.Optional({ ...Time, description: 'For a dry run: as of this time.' }),
  },
  {
    ...STRICT,
    ...conditions([{ if: has('time'), then: { required: ['dry_run'], properties: { dry_run: { const: true } } } }]),
  },
);

export const ViewPartition = named(
  'ViewPartition',
  Type.Object({
    name: Type.String(),
    kind: enumOf(ViewPartition_Kind),
    from_time: Moment,
    to_time: Moment,
    due_time: Moment,
    row_estimate: orNull(Type.Integer({ description: 'As the database estimates them; null if it never has.' })),
    size_bytes: Type.Integer(),
  }),
);
export type ViewPartitionBody = Static<typeof ViewPartition>;
export const PurgeAnswer = Type.Object({ partitions: Type.Array(ref(ViewPartition)), held_back: Type.String() });

export const PutAsideRecord = named(
  'PutAsideRecord',
  Type.Object({
    partition: Type.Integer(),
    offset: Type.Integer(),
    event_id: orNull(Type.String({ description: 'Null if the record could not be read.' })),
    attempt: Type.Integer(),
    change: Type.String(),
    reason: Type.String(),
    reduced: Type.Boolean({ description: 'Whether what was left of it was applied in its place, so that its event goes on.' }),
    time: Moment,
    size_bytes: Type.Integer(),
  }),
);
export type PutAsideBody = Static<typeof PutAsideRecord>;
export const PutAsidePage = Type.Object({
  records: Type.Array(ref(PutAsideRecord)),
  total_size: Type.Integer(),
  next_page_token: Type.String(),
});
