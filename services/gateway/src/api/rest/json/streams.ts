import { type TObject, type TOptional, type TString, type TUnion, Type } from '@sinclair/typebox';
import { choiceOf } from './schema.ts';

export const EVENT_STREAM = 'text/event-stream';

/**
 * A body of server-sent events with these names. OpenAPI 3.1 cannot describe the items of a stream: the schema of one of them alone would be read as that of
 * the body, and generated clients could not read it. Tools that know event streams read each event by it.
 */
export function sentEvents(...names: readonly string[]): TUnion {
  return Type.Union(
    [
      Type.String(),
      Type.Object({
        id: Type.Optional(Type.String()),
        event: choiceOf([...names, 'error']),
        data: Type.String({ contentMediaType: 'application/json' }),
      }),
    ],
    { description: 'Text as a whole; each event is, once its fields have been read, an object.' },
  );
}

/** The answer to a reader that has received the whole stream. */
export const NothingMore = Type.Null({ description: 'The reader has had all of it: there is no more to come back for.' });

/** The header by which a reader resumes a stream. */
export function lastEventId(rule: object = {}): TObject<{ 'last-event-id': TOptional<TString> }> {
  return Type.Object({ 'last-event-id': Type.Optional(Type.String({ description: 'Id of the last event that was read.', ...rule })) });
}
