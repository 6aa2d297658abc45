import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** An answer of a REST API, as a client received it. */
export type ReceivedAnswer = {
  readonly method: string;
  /** With or without a query. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
};

export type AnswerCheck = {
  /** Throws an AssertionError for an answer that the document does not describe. Answers that are not JSON, and paths that it does not list, pass. */
  check(answer: ReceivedAnswer): void;
  /** Throws an AssertionError for a value that is not of the named schema of the document. */
  checkNamed(name: string, value: unknown): void;
};

type Json = Readonly<Record<string, unknown>>;
type Operation = { readonly responses?: Readonly<Record<string, { readonly content?: Json }>> };

/**
 * Makes a check of answers against an OpenAPI 3.1 document. It is stricter than the document: an object may hold the fields that its schema lists and no
 * others, so that a field without a description is found.
 */
export function createAnswerCheck(document: unknown): AnswerCheck {
  const closed = close(document, false) as Json & { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false });
  ajv.addFormat('date-time', (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text));
  ajv.addFormat('binary', true);
  ajv.addSchema(closed, 'openapi');
  const checks = new Map<string, ValidateFunction>();
  const checkBy = (pointer: string, value: unknown, what: string): void => {
    let check = checks.get(pointer);
    if (!check) checks.set(pointer, (check = ajv.compile({ $ref: `openapi#${pointer}` })));
    if (check(value)) return;
    const faults = (check.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
    );
    assert.fail(`${what} is not as the OpenAPI document describes it:\n${faults.slice(0, 20).join('\n')}`);
  };
  const routes = Object.entries(closed.paths).map(([path, operations]) => ({ path, operations, pattern: patternOf(path) }));
  const checkNamed = (name: string, value: unknown): void => checkBy(`/components/schemas/${name}`, value, name);
  return {
    checkNamed,
    check({ method, path: target, status, contentType, text }) {
      if (!contentType.includes('json') || contentType.includes('ndjson') || method === 'HEAD') return;
      const path = target.split('?', 1)[0] ?? '';
      const route = routes.find(({ pattern }) => pattern.test(path));
      const operation = route?.operations[method.toLowerCase()];
      const what = `${method} ${path}: ${status} ${text.slice(0, 500)}`;
      if (!route || !operation) {
        if (status >= 400 && path.startsWith('/v1/')) checkNamed('Error', JSON.parse(text));
        return;
      }
      const key = [String(status), `${String(status)[0] ?? ''}XX`].find((one) => operation.responses?.[one]);
      if (key === undefined) assert.fail(`${what}: the OpenAPI document has no such status`);
      const parts = ['paths', route.path, method.toLowerCase(), 'responses', key, 'content', 'application/json', 'schema'];
      if (operation.responses?.[key]?.content?.['application/json'] === undefined)
        assert.fail(`${what}: the OpenAPI document has no body for it`);
      checkBy(`/${parts.map(pointerPart).join('/')}`, JSON.parse(text), what);
    },
  };
}

function pointerPart(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** A path of the document as an expression; a parameter holds neither a slash nor a colon. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/:]+')}$`);
}

/** Where a schema is a condition on another: closing it would forbid the fields of that one. */
const CONDITIONS = new Set(['allOf', 'if', 'then', 'else', 'not']);

/** Allows no other fields where an object has some; schemas with additional fields of their own stay. */
function close(value: unknown, isCondition: boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => close(one, isCondition));
  if (typeof value !== 'object' || value === null) return value;
  const schema = value as Json;
  const parts = Object.entries(schema).map(([key, one]) => [key, close(one, isCondition || CONDITIONS.has(key))] as const);
  const isOpen = schema['type'] === 'object' && typeof schema['properties'] === 'object' && !('additionalProperties' in schema);
  return { ...Object.fromEntries(parts), ...(isOpen && !isCondition ? { additionalProperties: false } : {}) };
}
