import { LogLine_Stream } from '@evenfall/contracts/v1/log_service';
import { type Static, Type } from '@sinclair/typebox';
import { Moment, PageQuery, textWithoutNul } from '../json/fields.ts';
import { enumOf, named, STRICT } from '../json/schema.ts';

export const LogQuery = Type.Object(
  {
    ...PageQuery,
    follow: Type.Optional(Type.Boolean()),
    attempt: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'Only lines of this attempt.' })),
    instance_id: Type.Optional(textWithoutNul('Only lines of this instance.', 128)),
    contains: Type.Optional(textWithoutNul('Only lines with this text in them.')),
    stream: Type.Optional(Type.Array(enumOf(LogLine_Stream))),
  },
  STRICT,
);
export type LogQueryValues = Static<typeof LogQuery>;

export const LogLine = named(
  'LogLine',
  Type.Object(
    {
      time: Moment,
      stream: enumOf(LogLine_Stream),
      attempt: Type.Integer(),
      instance_id: Type.String(),
      text: Type.String(),
    },
    {
      description:
        'One line. STDOUT and STDERR are the function’s, and so is ERROR: further lines of an error whose first line ends a line of PLATFORM.',
    },
  ),
);
export type LogLineBody = Static<typeof LogLine>;
