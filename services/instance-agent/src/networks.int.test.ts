import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { StopInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { eventually } from '@evenfall/testkit';
import { openLibc } from './adapters/network/libc.ts';
import { openNamespaces } from './adapters/network/namespaces.ts';
import { listenIn } from './adapters/network/own-network.ts';
import { tieToHost } from './adapters/network/veth.ts';
import { findProgram } from './adapters/process/find-program.ts';
import { type Host, startHost } from './testing/host.ts';

const LEAVES_WITHIN_MS = 60_000;
const FORWARDING = '/proc/sys/net/ipv4/ip_forward';
const SUBNET = '10.214.0.0/18';
const OF_SUBNET = /^evf0ad6/;
const isRoot = process.getuid?.() === 0;

/** Takes 9000 whatever it is told, and says what comes of connecting to where it is asked to. */
const WEB = `#!/usr/bin/env python3
import errno, json, os, socket
from http.server import BaseHTTPRequestHandler, HTTPServer

def dial(host, port):
    try:
        socket.create_connection((host, port), 3).close()
        return 'connected'
    except socket.timeout:
        return 'silence'
    except OSError as error:
        return errno.errorcode[error.errno]

def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('198.51.100.9', 9))
            return probe.getsockname()[0]
        except OSError as error:
            return errno.errorcode[error.errno]

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        result = {'pid': os.getpid(), 'port': os.environ['PORT'], 'address': own_address(), 'dialled': [dial(*each) for each in event['dial']]}
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

type Seen = { readonly pid: number; readonly port: string; readonly address: string; readonly dialled: string[] };
type Place = readonly [host: string, port: number];

const hostAddress = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family, address }) => !internal && family === 'IPv4' && !address.startsWith('10.21'))?.address;
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const devices = (): string[] => readdirSync('/sys/class/net').filter((name) => OF_SUBNET.test(name));
const listenOn = async (host: string): Promise<Server & { readonly place: Place }> => {
  const server = createServer((socket) => socket.on('error', () => undefined).end());
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return Object.assign(server, { place: [host, (server.address() as AddressInfo).port] as const }); // it listens on a port
};
const forwarding = isRoot ? readFileSync(FORWARDING, 'latin1') : '';
after(() => {
  if (isRoot && readFileSync(FORWARDING, 'latin1') !== forwarding) writeFileSync(FORWARDING, forwarding);
});

for (const network of ['none', 'private'] as const) {
  for (const sandbox of ['process', 'bubblewrap'] as const) {
    describe(`Functions with network ${network} in sandbox ${sandbox}`, { skip: await reasonToSkip(network, sandbox) }, () => {
      let host: Host;
      before(async () => {
        host = await startHost({ network, sandbox, subnet: SUBNET });
      });
      after(() => host.dispose());
      const web = (fn: Partial<FunctionMessage> = {}) => host.start({ runtime: 'web', ...fn }, { bootstrap: WEB });
      const ask = async (instance: string, ...dial: readonly Place[]): Promise<Seen> => {
        const ended = await host.ended(host.run(instance, { dial }));
        assert.equal(ended.statusCode, 200, ended.error.toString());
        return JSON.parse(ended.result.toString()) as Seen; // what the function above answers
      };
      const leave = async (instance: string): Promise<void> => {
        host.send({ stopInstances: [{ ...StopInstance.create(), instanceId: instance }] });
        await host.gone(instance);
      };

      it('have port 9000 each, on a loopback of their own', async () => {
        const instances = await Promise.all([web(), web(), web()]);
        const seen = await Promise.all(instances.map((each) => ask(each)));
        assert.deepEqual(
          seen.map(({ port }) => port),
          ['9000', '9000', '9000'],
        );
        const again = await Promise.all(instances.map((each) => ask(each)));
        assert.deepEqual(
          again.map(({ pid }) => pid),
          seen.map(({ pid }) => pid),
        );
        await Promise.all(instances.map(leave));
      });

      it('speak to their runtime API', async () => {
        const instance = await host.start({ runtime: 'custom', handler: 'h' }, { bootstrap: CUSTOM });
        for (const n of [1, 2]) assert.equal((await host.ended(host.run(instance, { n }))).result.toString(), `{"n":${n}}`);
        await leave(instance);
      });

      it('reach nothing of the host, neither on its loopback nor on its addresses', async () => {
        assert.ok(hostAddress, 'this host has an address');
        const [near, far] = [await listenOn('127.0.0.1'), await listenOn(hostAddress)];
        const instance = await web();
        const { dialled } = await ask(instance, near.place, far.place);
        await leave(instance);
        assert.deepEqual(dialled, ['ECONNREFUSED', network === 'none' ? 'ENETUNREACH' : 'silence']);
        for (const server of [near, far]) server.close();
      });

      it('leave no descriptor and no device behind', async () => {
        const rounds = async (count: number): Promise<void> => {
          for (let at = 0; at < count; at += 5) {
            const kinds = [{ runtime: 'web' }, { runtime: 'custom', handler: 'h' }] as const;
            const five = await Promise.all(
              Array.from({ length: 5 }, (_, index) =>
                host.start(kinds[index % 2] ?? kinds[0], { bootstrap: index % 2 === 0 ? WEB : CUSTOM }),
              ),
            );
            for (const each of five) assert.equal((await host.ended(host.run(each, { dial: [] }))).statusCode, 200);
            await Promise.all(five.map(leave));
          }
        };
        const hasSettled = (): boolean => devices().length <= 2; // two are kept ready
        await rounds(5); // what is kept from the first start on
        await eventually(hasSettled, LEAVES_WITHIN_MS);
        const settled = descriptors();
        await rounds(50);
        await eventually(hasSettled, LEAVES_WITHIN_MS);
        await eventually(() => descriptors() <= settled + 2, LEAVES_WITHIN_MS);
      });
    });
  }
}

describe('A way out', { skip: await reasonToSkip('private', 'process') }, () => {
  let host: Host;
  before(async () => {
    host = await startHost({ network: 'private', subnet: SUBNET, networkAllow: ['192.168.77.0/30'] });
  });
  after(() => host.dispose());
  const ask = async (instance: string, ...dial: readonly Place[]): Promise<Seen> =>
    JSON.parse((await host.ended(host.run(instance, { dial }))).result.toString()) as Seen;
  const open = () => host.start({ runtime: 'web', environment: { LISTEN: '0.0.0.0' } }, { bootstrap: WEB });
  /** Packets that the rules have dropped, of each. */
  const dropped = (): number[] => {
    const rules = execFileSync('nft', ['list', 'table', 'ip', 'evenfall_10_214_0_0'], { encoding: 'utf8' });
    return [...rules.matchAll(/counter packets (\d+)/g)].map(([, count]) => Number(count));
  };

  it('leads to no other instance', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const { address } = await ask(other);
    assert.match(address, /^10\.214\./);
    await fetch(`http://${address}:9000/event-invoke`, { method: 'POST', body: '{"dial":[]}' }).then((response) => response.text());
    const before = dropped()[0] ?? 0;
    assert.deepEqual((await ask(one, [address, 9000])).dialled, ['silence']);
    assert.ok((dropped()[0] ?? 0) > before);
  });

  it('leads outside in the name of the host, and not back in', async () => {
    const libc = await openLibc();
    const spaces = openNamespaces(libc);
    const outside = spaces.make();
    const link = { device: 'evtest0', hostAddress: '192.168.77.1', ownAddress: '192.168.77.2', release: () => undefined };
    await tieToHost(findProgram('/usr/sbin:/usr/bin:/sbin:/bin', 'ip') ?? '', outside, link);
    const callers: (string | undefined)[] = [];
    const server = createServer((socket) => {
      callers.push(socket.remoteAddress);
      socket.on('error', () => undefined).end();
    });
    const port = await listenIn(libc, outside, link.ownAddress, server);
    try {
      const instance = await open();
      const metadata = ['169.254.169.254', 80] as const;
      const { address, dialled } = await ask(instance, [link.ownAddress, port], metadata, ['192.168.78.1', port]);
      // The second is a cloud's metadata, the third a private network that nobody has opened.
      assert.deepEqual([dialled, callers], [['connected', 'silence', 'silence'], [link.hostAddress]]);
      await assert.rejects(
        startHost({ network: 'private', subnet: '192.168.76.0/22' }),
        /in use: this host reaches 192\.168\.77\.0\/30 by evtest0/,
      );
      const before = dropped()[1] ?? 0;
      const caller = outside.enter(() =>
        spawn('/usr/bin/python3', ['-c', `import socket; socket.create_connection(("${address}", 9000), 2)`]),
      );
      const [code] = (await once(caller, 'exit')) as [number];
      assert.equal(code, 1);
      assert.ok((dropped()[1] ?? 0) > before);
    } finally {
      server.close();
      outside.close();
      spaces.close();
    }
  });

  it('is nothing that a killed agent leaves in the way', async () => {
    const subnet = '10.215.0.0/22';
    const rules = (): string => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
    const left = (): string[] => readdirSync('/sys/class/net').filter((name) => name.startsWith('evf0ad7'));
    const holder = spawn(process.execPath, [fileURLToPath(new URL('testing/hold-network.ts', import.meta.url)), subnet]);
    holder.stderr.pipe(process.stderr);
    const [said] = (await once(holder.stdout, 'data')) as [Buffer];
    await eventually(() => left().length === 3, 30_000); // its own, and two that are ready
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await eventually(() => left().length === 1, LEAVES_WITHIN_MS);
    process.kill(Number(said.toString()), 'SIGKILL');
    await eventually(() => left().length === 0, LEAVES_WITHIN_MS);
    assert.match(rules(), /evenfall_10_215_0_0/);
    const next = await startHost({ network: 'private', subnet });
    assert.equal([...rules().matchAll(/evenfall_10_215_0_0/g)].length, 1);
    await next.dispose();
    assert.doesNotMatch(rules(), /evenfall_10_215_0_0/);
  });
});

describe('An agent', { skip: isRoot ? false : 'only root gets so far' }, () => {
  it('without the right to does not begin, and says which', () => {
    const doctor = fileURLToPath(new URL('doctor.ts', import.meta.url));
    const dataDir = mkdtempSync(join(tmpdir(), 'evenfall-doctor-'));
    chmodSync(dataDir, 0o711); // without mounts functions have to get to their code
    const examine = (network: string, ...rights: string[]) =>
      spawnSync('setpriv', [...rights, '--', process.execPath, doctor], {
        encoding: 'utf8',
        env: {
          PATH: process.env['PATH'],
          EVENFALL_AGENT_PYTHON: '/usr/bin/python3',
          EVENFALL_AGENT_DATA_DIR: dataDir,
          EVENFALL_AGENT_NETWORK: network,
          EVENFALL_AGENT_SUBNET: SUBNET,
        },
      });
    try {
      const [no, none] = [examine('private', '--bounding-set=-sys_admin'), examine('none', '--bounding-set=-sys_admin')];
      assert.deepEqual([no.status, none.status], [1, 1]);
      assert.match(no.stderr, /^EVENFALL_AGENT_NETWORK is private, which does not work here: .*(CAP_SYS_ADMIN|is not installed)/);
      assert.match(
        none.stderr,
        /^EVENFALL_AGENT_NETWORK is none, and neither can the agent make networks \(.*CAP_SYS_ADMIN.*\) nor the sandbox/,
      );
      const half = examine('private', '--bounding-set=-net_admin');
      assert.equal(half.status, 1);
      assert.match(half.stderr, /^EVENFALL_AGENT_NETWORK is private, which does not work here: /);
      const host = examine('host', '--bounding-set=-sys_admin');
      assert.equal(host.status, 0, host.stderr);
      assert.match(
        host.stdout,
        /✗ own-network {3,}functions share the host’s network; private does not work here: .*; none does not work here: /,
      );
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it('does not begin with addresses that the host has other ways to, or that are nobody’s to take', async () => {
    for (const [subnet, fault] of [
      ['10.213.0.1/16', /does not begin with its first address/],
      ['8.8.0.0/16', /is in none of 10\.0\.0\.0\/8/],
      ['10.213.0.0/24', /has 24 bits/],
      ['10.256.0.0/16', /is not of the form/],
    ] as const)
      await assert.rejects(
        startHost({ network: 'private', subnet }),
        (error: Error) => /private, which does not work here/.test(error.message) && fault.test(error.message),
      );
  });
});

async function reasonToSkip(network: 'none' | 'private', sandbox: 'process' | 'bubblewrap'): Promise<string | false> {
  if (!isRoot) return 'only root can make networks';
  try {
    const host = await startHost({ network, sandbox, subnet: SUBNET });
    const found = host.agent.abilities.find(({ name }) => name === 'own-network');
    await host.dispose();
    return found?.detail.startsWith('every instance has a network of its own') ? false : `here ${found?.detail}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
