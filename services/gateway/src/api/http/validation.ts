import { refuse, type Refusal } from '@evenfall/errors';
import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler';
import type { FastifyRequest, FastifySchema, FastifySchemaCompiler } from 'fastify';
import { InvalidRequest } from './errors.ts';

const MAX_SHOWN = 10;

/**
 * Compiles schemas to strict checks: bodies are not coerced, unknown fields are faults, and all faults are reported.
 * In a query everything is text, so numbers, booleans and single elements of lists are read from it, in their one spelling.
 */
export const strictValidation: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = TypeCompiler.Compile(schema);
  const inQuery = httpPart === 'querystring';
  return (data: unknown) => {
    const value = inQuery ? readQuery(schema, data) : data;
    if (compiled.Check(value)) return { value };
    return { error: new InvalidRequest(faultsOf([...compiled.Errors(value)])) };
  };
};

/** For routes whose body is bytes: its schema is for the document, and the route reads the bytes itself. */
export const bodyUnchecked: FastifySchemaCompiler<FastifySchema> = (route) =>
  route.httpPart === 'body' ? () => true : strictValidation({ ...route, schema: route.schema as TSchema }); // one part of the schema

type QueryProperties = Readonly<Record<string, { readonly type?: string }>>;

function readQuery(schema: TSchema, data: unknown): unknown {
  const properties = (schema['properties'] ?? {}) as QueryProperties; // a query's schema is an object's
  const values: Record<string, unknown> = {};
  for (const [key, given] of Object.entries(data as Record<string, unknown>)) values[key] = readValue(properties[key]?.type, given);
  return values;
}

function readValue(type: string | undefined, given: unknown): unknown {
  if (type === 'array') return Array.isArray(given) ? given : [given];
  if (typeof given !== 'string') return given;
  if (type === 'integer' && /^-?\d{1,10}$/.test(given)) return Number(given);
  if (type === 'boolean' && (given === 'true' || given === 'false')) return given === 'true';
  return given;
}

function faultsOf(errors: readonly ValueError[]): readonly [Refusal, ...Refusal[]] {
  const byField = new Map<string, Refusal>();
  for (const error of errors) {
    const named: unknown = error.schema['x-field'];
    const path = error.path === '' ? 'body' : error.path.slice(1).replaceAll('/', '.');
    const field = typeof named === 'string' ? named : path;
    if (!byField.has(field) && byField.size < MAX_SHOWN) byField.set(field, refusalOf(field.slice(0, 80), error));
  }
  const [first = refuse('INVALID_FIELD', { field: 'body', rule: 'as documented' }), ...more] = byField.values();
  return [first, ...more];
}

function refusalOf(field: string, error: ValueError): Refusal {
  const rule = ruleOf(error);
  if (error.schema['x-reason'] !== 'INVALID_NAME' || typeof error.value !== 'string') return refuse('INVALID_FIELD', { field, rule });
  const value = error.value.length > 80 ? `${error.value.slice(0, 80)}…` : error.value;
  return refuse('INVALID_NAME', { field, value, rule });
}

/** An empty body is an empty object; null is not. */
export async function emptyIsObject(request: FastifyRequest): Promise<void> {
  if (request.body === undefined) request.body = {};
}

function ruleOf(error: ValueError): string {
  if (error.type === ValueErrorType.ObjectAdditionalProperties) return 'there is no such field';
  if (error.type === ValueErrorType.ObjectRequiredProperty) return 'it is required';
  const rule: unknown = error.schema['x-rule'];
  if (typeof rule === 'string') return rule;
  const choices: unknown = error.schema['enum'];
  if (Array.isArray(choices)) return `one of ${choices.join(', ')}`;
  return error.message.charAt(0).toLowerCase() + error.message.slice(1);
}
