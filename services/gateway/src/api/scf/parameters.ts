import { type Static, type TObject, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import { TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler';
import { missing, type ScfCode, type ScfError, scfError, unknownParameter, wrongType } from './codes.ts';

/** Levels of lists and objects that parameters have at the most. */
const MAX_DEPTH = 8;
/** Elements of a list in a form. */
const MAX_ELEMENTS = 1_000;

export const STRICT = { additionalProperties: false } as const;
/** Text with a rule, and the code of what breaks it. */
const ruled = (pattern: string, code: ScfCode, rule: string) => Type.String({ pattern, 'x-code': code, 'x-rule': rule });
/** One of some words. */
export function wordOf<const W extends string>(words: readonly W[], code: ScfCode): TUnsafe<W> {
  return Type.Unsafe<W>(ruled(`^(${words.join('|')})$`, code, `It is one of ${words.join(', ')}.`));
}
/** A switch as SCF writes most of them. */
export const flagOf = (code: ScfCode) => wordOf(['TRUE', 'FALSE'], code);
/** A whole number within bounds. */
export const integerOf = (minimum: number, maximum: number, code: ScfCode) =>
  Type.Integer({ minimum, maximum, 'x-code': code, 'x-rule': `It is a whole number from ${minimum} to ${maximum}.` });
/** A parameter of SCF that is not offered here: see `refuseUnsupported`. */
export const Unsupported = Type.Optional(Type.Unknown());

export const Offset = Type.Optional(integerOf(0, 1_000_000, 'InvalidParameterValue.Offset'));
export const Limit = Type.Optional(integerOf(1, 100, 'InvalidParameterValue.Limit'));
export const Order = Type.Optional(wordOf(['ASC', 'DESC'], 'InvalidParameterValue.Order'));
export const Publish = Type.Optional(flagOf('InvalidParameterValue'));
/** What almost every action is about. */
export const OF_FUNCTION = { FunctionName: Type.String(), Namespace: Type.Optional(Type.String()) };

/** Reads the parameters of one action, strictly. Throws the error by which the gateway of Tencent Cloud answers the first fault. */
export type ParameterReader<S extends TObject> = {
  /** From parsed JSON. */
  fromJson(value: unknown): Static<S>;
  /** From the pairs of a form: `Environment.Variables.0.Key=x`. */
  fromForm(pairs: Iterable<readonly [string, string]>): Static<S>;
};

export function parameterReader<S extends TObject>(schema: S): ParameterReader<S> {
  const compiled = TypeCompiler.Compile(schema);
  const checked = (value: unknown): Static<S> => {
    if (compiled.Check(value)) return value;
    const [first] = compiled.Errors(value);
    throw first ? faultOf(first) : scfError('InvalidParameter');
  };
  return {
    fromJson(value) {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw scfError('InvalidParameter', 'The body is not a JSON object.');
      return checked(withoutNulls(value, MAX_DEPTH));
    },
    fromForm: (pairs) => checked(formTree(schema, pairs)),
  };
}

/** Nulls are values that are not set: some SDKs send them, others leave them out. */
function withoutNulls(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth === 0) return value;
  if (Array.isArray(value)) return value.map((one) => withoutNulls(one, depth - 1));
  const kept = Object.entries(value).filter(([, one]) => one !== null);
  return Object.fromEntries(kept.map(([name, one]) => [name, withoutNulls(one, depth - 1)]));
}

function faultOf({ type, path, schema, value }: ValueError): ScfError {
  const name = path.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
  if (type === ValueErrorType.ObjectAdditionalProperties) return unknownParameter(name);
  if (value === undefined) return missing(name);
  const { 'x-code': code, 'x-rule': rule } = schema as { 'x-code'?: ScfCode; 'x-rule'?: string };
  if (!VALUE_FAULTS.has(type)) return wrongType(name);
  return scfError(code ?? 'InvalidParameterValue', `The value of parameter \`${name.slice(0, 120)}\` is not valid. ${rule ?? ''}`.trim());
}

/** Faults of a value that has the right type. */
const VALUE_FAULTS: ReadonlySet<ValueErrorType> = new Set([
  ValueErrorType.StringPattern,
  ValueErrorType.StringMinLength,
  ValueErrorType.StringMaxLength,
  ValueErrorType.IntegerMinimum,
  ValueErrorType.IntegerMaximum,
  ValueErrorType.ArrayMinItems,
  ValueErrorType.ArrayMaxItems,
]);

/** Forms are flat and know no types: both come from the schema. What does not fit is left for the check to find. */
function formTree(schema: TObject, pairs: Iterable<readonly [string, string]>): unknown {
  const tree: Record<string, unknown> = {};
  for (const [path, text] of pairs) {
    const names = path.split('.');
    if (names.length > MAX_DEPTH) throw unknownParameter(path);
    let at: Record<string, unknown> | unknown[] = tree;
    let of: TSchema = schema;
    for (const [level, name] of names.entries()) {
      const next = partOf(of, name);
      if (!next) throw unknownParameter(path);
      if (Array.isArray(at) && at.length < Number(name)) throw missing(`${names.slice(0, level).join('.')}.${at.length}`);
      const slots = at as Record<string, unknown>; // the names in a list are its numbers
      if (level === names.length - 1 || !isContainer(next)) {
        slots[name] = leafOf(next, text);
        break;
      }
      at = (slots[name] ??= next['type'] === 'array' ? [] : {}) as Record<string, unknown> | unknown[];
      of = next;
    }
  }
  return tree;
}

function isContainer(schema: TSchema): boolean {
  return schema['type'] === 'object' || schema['type'] === 'array';
}

function partOf(schema: TSchema, name: string): TSchema | undefined {
  if (schema['type'] === 'array') return /^\d{1,4}$/.test(name) && Number(name) < MAX_ELEMENTS ? (schema['items'] as TSchema) : undefined;
  const properties = schema['properties'] as Record<string, TSchema> | undefined;
  if (schema['type'] === 'object' && properties && Object.hasOwn(properties, name)) return properties[name];
  return undefined;
}

function leafOf(schema: TSchema, text: string): unknown {
  if (schema['type'] === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (schema['type'] === 'boolean' && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  return text;
}
