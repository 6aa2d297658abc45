import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { startMetricsServer } from './metrics-server.ts';

const TOKEN = 'a-token-of-prometheus';
/** An address of this machine by which it is called as others call it. */
const outer = Object.values(networkInterfaces())
  .flatMap((of) => of ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

async function at(
  settings: { readonly host: string; readonly metricsToken?: string },
  run: (url: (host: string) => string) => Promise<void>,
): Promise<void> {
  const server = await startMetricsServer({ metricsPort: 0, ...settings });
  try {
    await run((host) => `http://${host}:${server.port}`);
  } finally {
    await server.stop();
  }
}
const statusOf = async (url: string, headers: Record<string, string> = {}): Promise<number> => {
  const response = await fetch(url, { headers });
  await response.text();
  return response.status;
};

describe('the metrics port', () => {
  it('answers this machine without a token where none is set', () =>
    at({ host: '127.0.0.1' }, async (url) => assert.equal(await statusOf(`${url('127.0.0.1')}/metrics`), 200)));

  it(
    'answers only probes from other machines without one',
    { skip: outer === undefined && 'this machine has no address but loopback' },
    () =>
      at({ host: '0.0.0.0' }, async (url) => {
        assert.equal(await statusOf(`${url(outer ?? '')}/metrics`), 401);
        assert.equal(await statusOf(`${url(outer ?? '')}/metrics`, { authorization: `Bearer ${TOKEN}` }), 401);
        assert.equal(await statusOf(`${url('127.0.0.1')}/metrics`), 200);
        for (const probe of ['/healthz', '/readyz']) assert.equal(await statusOf(`${url(outer ?? '')}${probe}`), 200);
      }),
  );

  it('asks all callers for the token that is set', () =>
    at({ host: '0.0.0.0', metricsToken: TOKEN }, async (url) => {
      for (const host of ['127.0.0.1', ...(outer === undefined ? [] : [outer])]) {
        assert.equal(await statusOf(`${url(host)}/metrics`, { authorization: `Bearer ${TOKEN}` }), 200);
        for (const wrong of ['', `Bearer ${TOKEN}x`, TOKEN, `Basic ${TOKEN}`])
          assert.equal(await statusOf(`${url(host)}/metrics`, { authorization: wrong }), 401);
        for (const probe of ['/healthz', '/readyz']) assert.equal(await statusOf(`${url(host)}${probe}`), 200);
      }
    }));
});
