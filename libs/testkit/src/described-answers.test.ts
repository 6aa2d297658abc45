import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAnswerCheck } from './described-answers.ts';

const json = (schema: object) => ({ content: { 'application/json': { schema } } });
const DOCUMENT = {
  components: {
    schemas: {
      Thing: {
        type: 'object',
        required: ['id'],
        properties: {
          id: { type: 'string' },
          time: { type: 'string', format: 'date-time' },
          any: {},
          map: { type: 'object', additionalProperties: { type: 'string' } },
        },
      },
      Error: { type: 'object', required: ['error'], properties: { error: { type: 'string' } } },
    },
  },
  paths: {
    '/v1/things/{id}': {
      get: { responses: { 200: json({ $ref: '#/components/schemas/Thing' }), '4XX': json({ $ref: '#/components/schemas/Error' }) } },
    },
    '/v1/things/{id}:drop': { post: { responses: { 204: {} } } },
  },
};

describe('the check of answers against the OpenAPI document', () => {
  const { check, checkNamed } = createAnswerCheck(DOCUMENT);
  const get = (body: unknown, status = 200, path = '/v1/things/1?x=y') =>
    check({ method: 'GET', path, status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(body) });

  it('accepts what is described', () => {
    get({ id: 'a', time: '2026-01-31T12:00:00.000Z', any: { x: [1] }, map: { a: 'b' } });
    get({ error: 'no' }, 404);
    checkNamed('Thing', { id: 'a' });
  });

  for (const [name, body, status] of [
    ['a field that is not described', { id: 'a', more: 1 }, 200],
    ['a field that is missing', {}, 200],
    ['a value of another type', { id: null }, 200],
    ['a value of another form', { id: 'a', time: 'now' }, 200],
    ['a value of another type in a map', { id: 'a', map: { a: 1 } }, 200],
    ['an error of another form', { id: 'a' }, 404],
    ['a status that is not described', { id: 'a' }, 202],
  ] as const) {
    it(`finds ${name}`, () => assert.throws(() => get(body, status), assert.AssertionError));
  }

  it('finds a body where none is described', () => {
    const answer = { method: 'POST', path: '/v1/things/1:drop', status: 204, contentType: 'application/json', text: '{}' };
    assert.throws(() => check(answer), assert.AssertionError);
  });

  it('holds errors of unknown paths to the form of errors', () => {
    assert.throws(() => get({}, 404, '/v1/nothing'), assert.AssertionError);
    get({ error: 'no' }, 404, '/v1/nothing');
  });
});
