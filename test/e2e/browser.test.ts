// A real browser, with a foreign page: what it may send by itself is what counts, not what its makers say.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { findBrowser, openPage } from '../support/browser.ts';
import { exampleZip } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const browser = findBrowser();
const EVIL = 'evil.example';

/** Everything a page can have its browser send; it reports what it could read. */
const page = (platforms: readonly string[], forms: readonly string[]): string => `<!doctype html><title>evil</title><body><script>
const platforms = ${JSON.stringify(platforms)};
const forms = ${JSON.stringify(forms)};
const report = (what, value) => fetch('/report', { method: 'POST', body: JSON.stringify([what, value]) });
const tried = [];
const attempt = (what, run) => tried.push(Promise.resolve().then(run).then((read) => read !== undefined && report(what, read), () => undefined));
for (const platform of platforms) {
  const functions = platform + '/v1/namespaces/default/functions';
  attempt('sent', () => report('sent', platform).then(() => undefined));
  for (const mode of ['cors', 'no-cors']) {
    attempt('list', async () => { const answer = await fetch(functions, { mode }); return answer.type === 'opaque' ? undefined : answer.text(); });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json', undefined]) {
      const headers = type ? { 'content-type': type } : {};
      attempt('event', async () => { const answer = await fetch(functions + '/echo/events', { method: 'POST', mode, headers, body: '{}' }); return answer.type === 'opaque' ? undefined : answer.text(); });
      attempt('scf', async () => { const answer = await fetch(platform + '/', { method: 'POST', mode, headers, body: forms[0] }); return answer.type === 'opaque' ? undefined : answer.text(); });
      attempt('header', async () => { const answer = await fetch(functions + '/echo/events', { method: 'POST', mode, headers: { ...headers, 'Evenfall-Client': 'x' }, body: '{}' }); return answer.type === 'opaque' ? undefined : answer.text(); });
    }
    attempt('delete', async () => { const answer = await fetch(functions + '/echo', { method: 'DELETE', mode }); return answer.type === 'opaque' ? undefined : answer.text(); });
    attempt('bare', () => fetch(functions + '/echo/events', { method: 'POST', mode }).then(() => undefined));
    attempt('version', () => fetch(functions + '/echo/versions', { method: 'POST', mode }).then(() => undefined));
  }
  attempt('beacon', () => { for (const form of forms) navigator.sendBeacon(platform + '/', new URLSearchParams(form)); navigator.sendBeacon(functions + '/echo/events', '{}'); });
  for (const enctype of ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'])
    for (const [action, fields] of [...forms.map((form) => [platform + '/', [...new URLSearchParams(form)]]), [functions + '/echo/events', [['{"a":"', '"}']]], [functions + '/echo:invoke', []]]) {
      const frame = document.createElement('iframe');
      frame.name = 'frame' + Math.random();
      const form = Object.assign(document.createElement('form'), { method: 'POST', action, enctype, target: frame.name });
      for (const [name, value] of fields) form.append(Object.assign(document.createElement('input'), { name, value }));
      document.body.append(frame, form);
      tried.push(new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 3000); }));
      form.submit();
    }
  attempt('script', () => new Promise((resolve) => { const script = Object.assign(document.createElement('script'), { src: functions, onload: () => resolve('ran'), onerror: () => resolve() }); document.body.append(script); }));
  attempt('stream', () => new Promise((resolve) => { const source = new EventSource(platform + '/v1/events/x:watch'); source.onopen = () => resolve('open'); source.onerror = () => { source.close(); resolve(); }; }));
  attempt('socket', () => new Promise((resolve) => { const socket = new WebSocket(platform.replace('http', 'ws') + '/'); socket.onopen = () => resolve('open'); socket.onerror = () => resolve(); }));
}
Promise.all(tried).then(() => report('done', true));
</script>`;

describe('a browser with a page of another site', { skip: browser === undefined ? 'there is no Chromium on this machine' : false }, () => {
  let site: Server;
  let html = '';
  let reports: [string, unknown][] = [];
  before(async () => {
    site = createServer((request, response) => {
      if (request.method !== 'POST') return void response.setHeader('content-type', 'text/html').end(html);
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        reports.push(JSON.parse(text) as [string, unknown]); // of the page above
        response.end();
      });
    });
    site.listen(0, '127.0.0.1');
    await once(site, 'listening');
  });
  after(() => site.close());

  for (const isOpen of [false, true])
    it(`does nothing to a platform whose APIs are ${isOpen ? 'open' : 'closed'}`, { timeout: 120_000 }, async () => {
      const stack: Stack = await startStack({ env: isOpen ? { EVENFALL_OPEN: 'yes' } : {} });
      reports = [];
      try {
        await stack.rest.deployExample('echo');
        const form = (pairs: Readonly<Record<string, string>>): string =>
          new URLSearchParams({ Version: '2018-04-16', ...pairs }).toString();
        const zip = await exampleZip('echo');
        const forms = [
          form({
            Action: 'CreateFunction',
            FunctionName: 'evil',
            Runtime: 'Python3.6',
            Handler: 'index.main_handler',
            'Code.ZipFile': zip,
          }),
          form({ Action: 'Invoke', FunctionName: 'echo', InvocationType: 'Event' }),
          form({ Action: 'DeleteFunction', FunctionName: 'echo' }),
        ];
        const { port } = new URL(stack.http);
        const { port: own } = site.address() as AddressInfo; // it listens on TCP
        // By its address, by a name of its own, and by a name of the page's that leads there.
        html = page([`http://127.0.0.1:${port}`, `http://localhost:${port}`, `http://${EVIL}:${port}`], forms);
        for (const from of [`http://127.0.0.1:${own}/`, `http://${EVIL}:${own}/`]) {
          reports = [];
          const opened = openPage(browser ?? '', from, [EVIL]);
          try {
            await eventually(() => reports.some(([what]) => what === 'done'), 60_000).catch((cause: unknown) => {
              throw new Error(`the page did not come to its end: ${JSON.stringify(reports)} ${opened.output()}`, { cause });
            });
          } finally {
            await opened.close();
          }
          assert.equal(reports.filter(([what]) => what === 'sent').length, 3);
          assert.deepEqual(reports.filter(([what]) => what !== 'sent' && what !== 'done'), [], 'it could read an answer'); // prettier-ignore
        }
        const metrics = await (await fetch(`${stack.metrics}/metrics`)).text();
        const refused = (reason: string): number =>
          Number(new RegExp(`refusals_total\\{reason="${reason}"[^}]*\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
        // What the browser did not send by itself shows nothing: it sent this much, and was turned away.
        for (const reason of ['FOREIGN_ORIGIN', 'HOST_NOT_ALLOWED']) assert.ok(refused(reason) >= 20, `${reason}: ${refused(reason)}`);
        const { body } = await stack.rest.call<{ functions: { name: string }[] }>('GET', '/v1/namespaces/default/functions');
        assert.deepEqual(body.functions.map(({ name }) => name), ['echo']); // prettier-ignore
        assert.deepEqual(await stack.rest.list('echo'), []);
        const versions = await stack.rest.call<{ versions: unknown[] }>('GET', '/v1/namespaces/default/functions/echo/versions');
        assert.deepEqual(versions.body.versions ?? [], []);
      } finally {
        await stack.dispose();
      }
    });
});
