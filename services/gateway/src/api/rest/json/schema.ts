import {
  type Static,
  type TArray,
  type TNull,
  type TObject,
  type TSchema,
  type TString,
  type TUnion,
  type TUnsafe,
  Type,
} from '@sinclair/typebox';
import { namesIn, type EnumName, type ProtoEnum } from './enum-names.ts';

/** An object that holds the described fields and no other. */
export const STRICT = { additionalProperties: false } as const;

/** A schema that the OpenAPI document lists under a name of its own. */
export type Named<S extends TSchema> = S & { readonly $id: string };

export function named<S extends TSchema>(id: string, schema: S): Named<S> {
  return { ...schema, $id: id };
}

/** Refers to a named schema. */
export function ref<S extends TSchema>(schema: Named<S>): TUnsafe<Static<S>> {
  return Type.Unsafe<Static<S>>({ $ref: `${schema.$id}#` });
}

/** One page of a list: its items in `field`, and the token of the next page. */
export function pageOf<const F extends string, S extends TSchema>(field: F, item: Named<S>): PageSchema<F, S> {
  return Type.Object({ [field]: Type.Array(ref(item)), next_page_token: Type.String() }) as unknown as PageSchema<F, S>; // TypeScript widens the computed name to any text
}
type PageSchema<F extends string, S extends TSchema> = TObject<
  { readonly [N in F]: TArray<TUnsafe<Static<S>>> } & { readonly next_page_token: TString }
>;

export function orNull<S extends TSchema>(schema: S): TUnion<[S, TNull]> {
  return Type.Union([schema, Type.Null()]);
}

/** One of the given words. */
export function choiceOf<const W extends string>(words: readonly W[]): TUnsafe<W> {
  return Type.Unsafe<W>(Type.String({ enum: [...words], pattern: `^(${words.join('|')})$`, 'x-rule': `one of ${words.join(', ')}` }));
}

/** One of an enum's names. */
export function enumOf<E extends ProtoEnum>(values: E): TUnsafe<EnumName<E>> {
  return choiceOf(namesIn(values));
}

/**
 * A condition on other fields, for the document alone: the check of it is where the setting is used, and its refusal says more than that of a schema
 * could. Generators of clients ignore it.
 */
export function conditions(all: readonly object[]): { readonly allOf: readonly object[] } {
  return { allOf: all };
}

/** The condition that a field is present. */
export function has(field: string): object {
  return { required: [field], properties: { [field]: {} } };
}
