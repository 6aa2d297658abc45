import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { eventually } from '@evenfall/testkit';
import { type Host, startHost } from './testing/host.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const LEAVES_WITHIN_MS = 30_000;
const isRoot = process.getuid?.() === 0;

/** Takes 9000 whatever it is told, and where nobody else can call. Answers what it is asked to connect to. */
const WEB = `#!/usr/bin/env python3
import errno, json, os, socket
from http.server import BaseHTTPRequestHandler, HTTPServer

def dial(host, port):
    try:
        socket.create_connection((host, port), 5).close()
        return 'connected'
    except socket.timeout:
        return 'ETIMEDOUT'
    except OSError as error:
        return errno.errorcode[error.errno]

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        result = {'pid': os.getpid(), 'port': os.environ['PORT'], 'dialled': [dial(*each) for each in event.get('dial', [])]}
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

HTTPServer((os.environ.get('LISTEN', '127.0.0.1'), 9000), Handler).serve_forever()
`;

/** A client of Lambda's runtime API in a few lines. */
const CUSTOM = `#!/usr/bin/env python3
import os, urllib.request
api = 'http://%s/2018-06-01/runtime/invocation/' % os.environ['AWS_LAMBDA_RUNTIME_API']
while True:
    with urllib.request.urlopen(api + 'next') as event:
        id, body = event.headers['Lambda-Runtime-Aws-Request-Id'], event.read()
    urllib.request.urlopen(api + id + '/response', data=body)
`;

const ADDRESSES = [
  'import socket, struct, fcntl',
  'def handler(e, c):',
  '    found = {}',
  '    for _, name in socket.if_nameindex():',
  '        with socket.socket() as s:',
  '            try:',
  '                found[name] = socket.inet_ntoa(fcntl.ioctl(s, 0x8915, struct.pack("256s", name.encode()))[20:24])',
  '            except OSError:',
  '                found[name] = None',
  '    return found',
].join('\n');

type Seen = { readonly pid: number; readonly port: string; readonly dialled: string[] };

const hostAddress = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family, address }) => !internal && family === 'IPv4' && !address.startsWith('10.213.'))?.address;

for (const [network, sandbox] of [
  ['none', 'process'],
  ['none', 'bubblewrap'],
  ['private', 'process'],
  ['private', 'bubblewrap'],
] as const) {
  describe(`Functions with network ${network} in sandbox ${sandbox}`, { skip: await reasonToSkip(network, sandbox) }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ network, sandbox });
    });
    after(() => host.dispose());
    const web = (fn: Partial<FunctionMessage> = {}) => host.start({ runtime: 'web', ...fn }, { bootstrap: WEB });
    const ask = async (instance: string, dial: readonly (readonly [string, number])[] = []): Promise<Seen> => {
      const ended = await host.ended(host.run(instance, { dial }));
      assert.equal(ended.statusCode, 200, ended.error.toString());
      return JSON.parse(ended.result.toString()) as Seen;
    };

    it('have port 9000 each, on a loopback nobody else reaches', async () => {
      const instances = await Promise.all([web(), web(), web()]);
      const seen = await Promise.all(instances.map((each) => ask(each)));
      assert.deepEqual(
        seen.map(({ port }) => port),
        ['9000', '9000', '9000'],
      );
      const again = await ask(instances[0] ?? '');
      assert.equal(again.pid, seen[0]?.pid);
    });

    it('speak to their runtime API', async () => {
      const instance = await host.start({ runtime: 'custom', handler: 'h' }, { bootstrap: CUSTOM });
      for (const n of [1, 2]) assert.equal((await host.ended(host.run(instance, { n }))).result.toString(), `{"n":${n}}`);
    });
  });
}

async function reasonToSkip(network: 'none' | 'private', sandbox: 'process' | 'bubblewrap'): Promise<string | false> {
  if (!isRoot) return 'only root can make networks';
  try {
    const host = await startHost({ network, sandbox });
    await host.dispose();
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
