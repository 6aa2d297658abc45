import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox';
import { STRICT } from '../json/schema.ts';
import { DestinationSchema, EventInvoke, functionFields, HookSchema } from './schema.ts';

const DestinationPatch = Type.Object(
  {
    ...DestinationSchema.properties,
    webhook: Type.Optional(Type.Partial(DestinationSchema.properties.webhook, STRICT)),
  },
  { ...STRICT, minProperties: 1, maxProperties: 1, 'x-rule': DestinationSchema['x-rule'] as unknown },
);
const HookPatch = Type.Partial(HookSchema, STRICT);

/** What a PATCH may hold, without its nulls. */
export const PatchValues = Type.Object(
  {
    ...functionFields,
    event_invoke: Type.Optional(
      Type.Object(
        { ...EventInvoke.properties, on_success: Type.Optional(DestinationPatch), on_failure: Type.Optional(DestinationPatch) },
        STRICT,
      ),
    ),
    initializer: Type.Optional(HookPatch),
    pre_stop: Type.Optional(HookPatch),
  },
  STRICT,
);

/** The same for the document: a setting, or a field of one, may be null; but for the runtime, which has no default. */
export const FunctionPatch = Type.Unsafe<Static<typeof PatchValues>>(nullable(PatchValues));

/** Splits a merge patch (RFC 7396) into the values it sets and the paths of all it names; null is a path without a value. */
export function readPatch(body: unknown): { readonly mask: readonly string[]; readonly values: unknown } {
  const mask: string[] = [];
  return { values: withoutNulls(PatchValues, body, '', mask), mask };
}

function withoutNulls(schema: TSchema, value: unknown, path: string, mask: string[]): unknown {
  if (!isObject(value) || !hasFields(schema)) {
    if (path !== '') mask.push(path);
    return value;
  }
  const values: [string, unknown][] = [];
  for (const [name, one] of Object.entries(value)) {
    const field = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const own = path === '' ? name : `${path}.${name}`;
    if (field?.readOnly === true) continue; // a field of an answer, sent back
    if (one === null && field && mayBeNull(schema)) mask.push(own);
    else values.push([name, field ? withoutNulls(field, one, own, mask) : one]);
  }
  return Object.fromEntries(values);
}

function nullable(schema: TSchema): TSchema {
  if (!hasFields(schema)) return schema;
  const fields = Object.entries(schema.properties).map(([name, field]): [string, TSchema] => {
    const patched = nullable(field);
    return [name, Type.Optional(mayBeNull(schema) && name !== 'runtime' ? Type.Union([patched, Type.Null()]) : patched)];
  });
  return Type.Object(Object.fromEntries(fields), { ...schema, properties: undefined, required: undefined });
}

/** A destination is one of its targets, and a target has no defaults: null is for the destination as a whole. */
function mayBeNull(schema: TSchema): boolean {
  return schema['maxProperties'] !== 1 && !isTarget(schema);
}

function isTarget(schema: TSchema): boolean {
  return hasFields(schema) && 'secret' in schema.properties;
}

function hasFields(schema: TSchema): schema is TObject {
  return schema['type'] === 'object' && isObject(schema['properties']);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
