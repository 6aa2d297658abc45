import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodedMessage, serializing } from './encoded.ts';

it('is its bytes for a server and its fields for all others, decoded once and only when a field is read', async () => {
  let decoded = 0;
  const bytes = Buffer.from('{"name":"a","list":[1,2]}');
  type Message = { readonly name: string; readonly list: readonly number[]; readonly other?: number };
  const decode = (given: Uint8Array): Message => {
    decoded++;
    return JSON.parse(Buffer.from(given).toString()) as Message; // what was written above
  };
  const plain = (message: Message): Buffer => Buffer.from(JSON.stringify(message));
  const serialize = serializing(plain);
  const message = await Promise.resolve(encodedMessage(bytes, decode)).then((same) => same);
  assert.equal(serialize(message).toString(), bytes.toString());
  assert.equal(decoded, 0);
  assert.equal(message.name, 'a');
  assert.deepEqual({ ...message }, { name: 'a', list: [1, 2] });
  assert.ok('list' in message && !('other' in message));
  assert.equal(JSON.stringify(message), bytes.toString());
  assert.throws(() => Object.assign(message, { name: 'b' }), TypeError);
  assert.equal(decoded, 1);
  assert.equal(serialize({ ...message, name: 'c' }).toString(), '{"name":"c","list":[1,2]}', 'a copy is a message like any other');
});
