// A copy of the database contains no readable secrets of functions. The whole platform, with events that a signed webhook received.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { after, before, describe, it } from 'node:test';
import { socketUrl } from '@evenfall/postgres';
import { eventually, tempDir, testDatabase, type TestDatabase } from '@evenfall/testkit';
import type { EventAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const CANARY = 'canary-of-the-environment-7f3a';
const SECRET = 'canary-of-the-webhook-19bd';
const FUNCTION = { runtime: 'nodejs', handler: 'index.handler', timeout: '5s' };
const CODE = 'exports.handler = async (event) => { if (event.fail) throw new Error("no"); return process.env.TOKEN.length; };\n';

describe('Secrets of functions', { timeout: 240_000 }, () => {
  const dir = tempDir('sealed');
  let db: TestDatabase;
  let stack: Stack;
  let url: string;
  const calls: { body: string; timestamp: string; signature: string }[] = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      const { 'evenfall-timestamp': timestamp, 'evenfall-signature': signature } = request.headers;
      calls.push({ body, timestamp: String(timestamp), signature: String(signature) });
      response.writeHead(204).end();
    });
  });
  const start = async (): Promise<void> => {
    const { target } = db;
    const databaseUrl = target.kind === 'url' ? target.url : socketUrl(target);
    stack = await startStack({
      dataDir: dir.path,
      env: { EVENFALL_WEBHOOK_ALLOW_PRIVATE: 'true', EVENFALL_POSTGRES_URL: databaseUrl, EVENFALL_LOG_LEVEL: 'debug' },
    });
  };
  before(async () => {
    db = await testDatabase();
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`; // it listens on TCP
    await start();
  });
  after(async () => {
    await stack.dispose();
    await new Promise((resolve) => receiver.close(resolve));
    await db.drop();
    dir.remove();
  });

  const delivered = (id: string): Promise<EventAnswer> =>
    eventually(async () => {
      const event = await stack.rest.get(id);
      return event.deliveries?.[0]?.state === 'DELIVERED' && event;
    }, 30_000);
  /** Everything in every table, and how many rows there are. */
  const dump = async (): Promise<{ readonly text: string; readonly rows: number }> => {
    const tables = await db.sql<{ name: string }[]>`
      SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
    let text = '';
    let count = 0;
    for (const { name } of tables)
      for (const row of await db.sql.unsafe<Record<string, unknown>[]>(`SELECT * FROM ${name}`)) {
        count++;
        for (const value of Object.values(row))
          text += Buffer.isBuffer(value) ? value.toString('latin1') : inspect(value, { depth: 9, maxStringLength: null });
      }
    return { text, rows: count };
  };
  /** All files of the data folder that are the platform's, with the code that functions have there. */
  const files = (folder: string): string =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isDirectory())
      .map((entry) => {
        const path = join(folder, entry.name);
        return entry.isDirectory() ? files(path) : statSync(path).size < 10_000_000 ? readFileSync(path, 'latin1') : '';
      })
      .join('');

  it('are in no table, no file and no line of the log, while they do their work', async () => {
    const event_invoke = { max_retries: 0, on_failure: { webhook: { url, secret: SECRET } } };
    await stack.rest.deploy({ ...FUNCTION, name: 'holder', environment: { TOKEN: CANARY }, event_invoke }, { 'index.js': CODE });
    await stack.rest.deploy({ ...FUNCTION, name: 'plain' }, { 'index.js': 'exports.handler = async () => 1;' });
    const good = await stack.rest.send('holder', {});
    assert.equal((await stack.rest.ended(good.id)).result, CANARY.length, 'the function has its variable');
    const { id } = await stack.rest.send('holder', { fail: true });
    await delivered(id);
    const [call] = calls;
    assert.ok(call);
    const signed = createHmac('sha256', SECRET).update(`${call.timestamp}.`).update(call.body).digest('hex');
    assert.equal(call.signature, `v1=${signed}`);
    const waiting = await stack.rest.send('holder', {}, { headers: { 'evenfall-delay': '1h' } });
    assert.equal((await stack.rest.get(waiting.id)).state, 'QUEUED');
    const { text, rows } = await dump();
    assert.ok(rows > 10 && text.includes('holder'), 'the tables were read');
    for (const canary of [CANARY, SECRET]) {
      assert.ok(!text.includes(canary), 'in a table');
      assert.ok(!files(dir.path).includes(canary), 'in a file');
      assert.ok(!stack.stderr().includes(canary), 'in the log');
    }
    assert.equal((statSync(join(dir.path, 'sealing-key')).mode & 0o777).toString(8), '600');
  });

  it('of a lost key stop their function with a clear word, and its neighbours go on', async () => {
    await stack.stop();
    const file = join(dir.path, 'sealing-key');
    const key = readFileSync(file, 'utf8');
    rmSync(file);
    await start();
    const path = '/v1/namespaces/default/functions/holder';
    const refused = await stack.rest.call<{ error: { details: { reason: string }[]; message: string } }>('POST', `${path}/events`, {});
    assert.equal(refused.body.error.details[0]?.reason, 'SECRETS_NOT_READABLE');
    assert.match(refused.body.error.message, /EVENFALL_SEALING_KEY/);
    const shown = await stack.rest.call<{ environment: Record<string, string> }>('GET', path);
    assert.match(shown.body.environment['TOKEN'] ?? '', /sealed with a key that is not there/);
    const { id } = await stack.rest.send('plain', {});
    assert.equal((await stack.rest.ended(id)).result, 1);
    assert.match(stack.stderr(), /sealed with a key that is not in EVENFALL_SEALING_KEY/);
    await stack.stop();
    writeFileSync(file, key, { mode: 0o600 });
    await start();
    const again = await stack.rest.send('holder', {});
    assert.equal((await stack.rest.ended(again.id)).result, CANARY.length);
  });
});
