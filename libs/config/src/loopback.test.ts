import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isLoopback } from './loopback.ts';

for (const host of ['localhost', '127.0.0.1', '127.255.255.254', '::1', '[::1]', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1'])
  it(`${host} is on this machine`, () => assert.equal(isLoopback(host), true));

const others = [
  '',
  '0.0.0.0',
  '::',
  '128.0.0.1',
  '127.1',
  '2130706433',
  '127.0.0.256',
  '127.0.0.1.example',
  '127.0.0.1x',
  'fe80::1%lo',
  '::2',
];
for (const host of [...others, '[127.0.0.1', '::ffff:10.0.0.1', 'localhost.example'])
  it(`${JSON.stringify(host)} is not`, () => assert.equal(isLoopback(host), false));
