import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { compact } from '@evenfall/json-text';
import { hostileJson } from '@evenfall/json-text/testing';
import { tempDir } from '@evenfall/testkit';
import fc from 'fast-check';
import { runCli } from '../support/cli.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** Answers the bytes it was sent, and says which they were; a line end after them, as pretty printers write one. */
const ECHO = `#!/usr/bin/env python3
import os, http.server
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        print("got " + body.hex(), flush=True)
        self.send_response(200)
        self.send_header("content-length", str(len(body) + 1))
        self.end_headers()
        self.wfile.write(body + b"\\n")
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "9000"))), Echo).serve_forever()
`;
const FUNCTION = '/v1/namespaces/default/functions/echo-bytes';
const NUMBERS = '[9007199254740993, 12345678901234567890, 1.0, 1E400, -0.0, 1e2, {"b": 1, "b": 2, "2": 0, "1": 0}, "\\u0041\\ud800"]';

describe('JSON through the whole platform', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    await stack.rest.deploy({ name: 'echo-bytes', runtime: 'web', timeout: '20s' }, { scf_bootstrap: ECHO });
  });
  after(() => stack.dispose());

  const got = async (id: string): Promise<string> => {
    const line = (await stack.rest.logs(id)).find(({ text }) => text.startsWith('got ')) ?? assert.fail('no line');
    return Buffer.from(line.text.slice(4), 'hex').toString();
  };
  const textOf = async (path: string): Promise<string> => (await fetch(`${stack.http}${path}`, { headers: stack.headers })).text();
  const isKept = async (id: string, sent: string): Promise<void> => {
    assert.equal(await got(id), sent);
    for (const path of [`/v1/events/${id}`, `${FUNCTION}/events?page_size=100`, `/v1/events/${id}:watch`]) {
      const text = (await textOf(path)).replaceAll('\ndata: ', '\n');
      assert.ok(compact(text).includes(`"result":${compact(sent)},`), `${path}: ${text.slice(0, 400)}`);
    }
  };

  it('reaches the function and comes back as it was sent, one by one and in a batch', async () => {
    const texts = [NUMBERS, ...fc.sample(hostileJson({ isFlat: true }), { numRuns: 12, seed: 7 }).map((text) => text.trim())];
    const ids: string[] = [];
    for (const text of texts) {
      const { status, body } = await stack.rest.call<{ id: string }>('POST', `${FUNCTION}/events`, text);
      assert.equal(status, 202);
      ids.push(body.id);
    }
    const batch = `{"events": [${texts.map((text) => `{"payload": ${text} }`).join(', ')}]}`;
    const made = await stack.rest.call<{ events: { id: string }[] }>('POST', `${FUNCTION}/events:batchCreate`, batch);
    assert.equal(made.status, 202);
    ids.push(...made.body.events.map(({ id }) => id));
    for (const id of ids) await stack.rest.ended(id);
    for (const [i, id] of ids.entries()) await isKept(id, texts[i % texts.length] ?? '');
  });

  it('is shown by the command as the platform sent it', async () => {
    const folder = tempDir('payload');
    try {
      const file = join(folder.path, 'payload.json');
      writeFileSync(file, NUMBERS);
      const waited = await runCli(stack, ['--json', 'invoke', 'echo-bytes', '--async', '--wait', '--file', file]);
      assert.equal(waited.code, 0, waited.stderr);
      assert.ok(waited.stdout.includes(`"result":${compact(NUMBERS)},`), waited.stdout);
      const called = await runCli(stack, ['invoke', 'echo-bytes', '--file', file]);
      assert.equal(compact(called.stdout), compact(NUMBERS), called.stderr);
      writeFileSync(file, Buffer.from('{"v":"caf\xe9"}', 'latin1'));
      const refused = await runCli(stack, ['invoke', 'echo-bytes', '--file', file]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /not UTF-8/);
    } finally {
      folder.remove();
    }
  });
});
