// What callers without a key can make a platform hold in memory: a small, bounded amount, at every API.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tc3Headers } from '../../services/gateway/src/testing/tc3.ts';
import { type Stack, startStack } from '../support/stack.ts';

const MIB = 1024 * 1024;
const STRANGERS = 20;
const EACH_BYTES = 58 * MIB;
/** What 20 connections may cost, with what the collector has not looked at yet: they send 1,160. */
const BOUND_MB = 200;
const K = '/v1/namespaces/default/functions/echo';

describe('strangers who send as much as they can', { timeout: 180_000 }, () => {
  let stack: Stack;
  const ends: (() => void)[] = [];
  before(async () => {
    stack = await startStack();
    await stack.rest.deployExample('echo');
    await stack.rest.call('POST', `${K}:invoke`, 1); // what a first call takes is there
  });
  after(async () => {
    for (const end of ends) end();
    await stack.dispose();
  });

  const residentMb = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${stack.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  /** Has them all send, while others are served; answers by how many megabytes the process grew at the most. */
  const growth = async (send: () => Promise<void>): Promise<number> => {
    const began = residentMb();
    let most = began;
    let isOver = false;
    const watch = (async () => {
      while (!isOver) {
        most = Math.max(most, residentMb());
        const asked = performance.now();
        assert.equal((await stack.rest.call('GET', '/v1/agents')).status, 200);
        assert.ok(performance.now() - asked < 1_000, 'who has a key is served');
        await sleep(20);
      }
    })();
    await Promise.all(Array.from({ length: STRANGERS }, send)).finally(() => (isOver = true));
    await watch;
    return most - began;
  };
  const http = async (head: readonly string[]): Promise<void> => {
    const { hostname, port } = new URL(stack.http);
    const socket: Socket = connect(Number(port), hostname);
    ends.push(() => socket.destroy());
    socket.on('error', () => undefined); // it may be closed from the other side
    socket.resume();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(`${['POST', ...head].join(' ')}\r\nHost: ${new URL(stack.http).host}\r\nContent-Length: ${EACH_BYTES}\r\n\r\n`);
    const chunk = Buffer.alloc(MIB, 'a');
    for (let sent = 0; sent < EACH_BYTES && !socket.destroyed; sent += chunk.length)
      if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed, sleep(3_000)]);
  };

  it('over gRPC are not listened to', async () => {
    const growthMb = await growth(async () => {
      const session = connectHttp2(`http://${stack.grpc}`, { maxSessionMemory: 1_000 });
      session.on('error', () => undefined); // it may be closed from the other side
      ends.push(() => session.destroy());
      const headers = {
        ':method': 'POST',
        ':path': '/evenfall.v1.FunctionService/CreateFunction',
        'content-type': 'application/grpc',
        te: 'trailers',
      };
      const stream = session.request(headers);
      stream.on('error', () => undefined); // it may be reset
      stream.resume();
      const head = Buffer.alloc(5);
      head.writeUInt32BE(EACH_BYTES, 1);
      stream.write(head);
      for (let n = 0; n < 57; n++) stream.write(Buffer.alloc(MIB));
      await once(stream, 'close');
    });
    assert.ok(growthMb < BOUND_MB, `${growthMb} MB`);
  });

  it('over HTTP are not listened to', async () => {
    const growthMb = await growth(() => http([`${K}/events:batchCreate`, 'HTTP/1.1\r\nContent-Type: application/json']));
    assert.ok(growthMb < BOUND_MB, `${growthMb} MB`);
  });

  it('by forms of SCF come to a megabyte each', async () => {
    const growthMb = await growth(() => http(['/', 'HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded']));
    assert.ok(growthMb < BOUND_MB, `${growthMb} MB`);
  });

  it('by signatures of SCF are not kept, and with an id that is known come to a bound of all', async () => {
    for (const [id, most] of [
      ['eve', BOUND_MB],
      ['local', BOUND_MB + 2 * 128], // what is held, and what the collector has not looked at yet
    ] as const) {
      const signed = {
        ...tc3Headers({ id, secret: 'not-the-secret', host: new URL(stack.http).host, body: 'a' }),
        'x-tc-action': 'CreateFunction',
        'x-tc-version': '2018-04-16',
      };
      const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}`);
      const growthMb = await growth(() => http(['/', `HTTP/1.1\r\n${lines.join('\r\n')}`]));
      assert.ok(growthMb < most, `${id}: ${growthMb} MB`);
    }
  });
});
