import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import type { WebhookAnswer } from '../domain/webhook.ts';
import { createWebhookSender } from './webhooks.ts';

const servers: Server[] = [];
const sender = createWebhookSender({ allowPrivate: true });
const guarded = createWebhookSender({ allowPrivate: false });
after(async () => {
  sender.close();
  guarded.close();
  for (const server of servers)
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`; // it listens on TCP
}
const send = (url: string, by = sender, withinMs = 5_000): Promise<WebhookAnswer> =>
  by.send({ url, headers: { 'evenfall-event-id': 'e' }, body: Buffer.from('{}') }, AbortSignal.timeout(withinMs));

describe('A webhook sender', () => {
  it('posts, and answers with the status, the pause that is asked for, and a little of the body', async () => {
    const url = await serve((request, response) => {
      assert.deepEqual([request.method, request.headers['evenfall-event-id'], request.headers['content-length']], ['POST', 'e', '2']);
      response.writeHead(503, { 'retry-after': '7' }).end('x'.repeat(100_000));
    });
    const answer = await send(url);
    assert.deepEqual(answer, { kind: 'ANSWERED', status: 503, retryAfter: '7', text: 'x'.repeat(1_024) });
  });

  it('follows no redirect', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked++;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    assert.equal(((await send(url)) as { status: number }).status, 307);
    assert.equal(asked, 1);
  });

  it('takes a status for an answer though the body never ends, and rejects where there is none in time', async () => {
    const endless = await serve((_request, response) => void response.writeHead(200).write('begun'));
    assert.equal(((await send(endless, sender, 300)) as { status: number }).status, 200);
    const silent = await serve(() => undefined);
    await assert.rejects(send(silent, sender, 300), /did not answer in time/);
    await assert.rejects(send('http://127.0.0.1:1/'), /ECONNREFUSED/);
  });

  it('calls no private address, whether it is written down or a name leads there', async () => {
    for (const host of ['127.0.0.1', '10.1.2.3', '169.254.169.254', '[::1]', '[::ffff:10.0.0.1]', '[fd00::1]', '2130706433', '0x7f.1']) {
      const answer = await send(`https://${host}/`, guarded);
      assert.equal(answer.kind, 'BLOCKED', host);
    }
    assert.match(JSON.stringify(await send('https://localhost:1/', guarded)), /localhost leads to no public address/);
    assert.equal((await send('http://example.com/', guarded)).kind, 'BLOCKED', 'nor plain HTTP');
    assert.equal((await send('http://example.com/', sender)).kind, 'BLOCKED', 'which is for this machine alone');
  });
});
