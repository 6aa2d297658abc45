// What functions with a way out try against the next holder of their address, and against the host. Who reaches whom: networks.int.test.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '@evenfall/testkit';
import { openLibc } from './adapters/network/libc.ts';
import { HOME, type NetworkServer, openNetworkServer, type Space } from './adapters/network/network-server.ts';
import { readAnswers } from './adapters/network/netlink/message.ts';
import { findTable, NETFILTER_PROTOCOL, replaceTable } from './adapters/network/netlink/rules.ts';
import { listenIn } from './adapters/network/own-network.ts';
import { isDeviceGone, makeClosed, linkToHost } from './adapters/network/link-to-host.ts';
import { findLauncher } from './adapters/process/launch/launcher-program.ts';
import { type Host, startHost } from './testing/host.ts';

const SUBNET = '10.214.64.0/22';
const TABLE = 'evenfall_10_214_64_0';
const DEVICES = /^evf0ad640/;
/** Of a sixteenth of the subnet, four addresses to each. */
const LINKS = 16;
const WITHIN_MS = 10_000;
const UIDS = '970000-979999';
const DEVICE = 'evtest2';
const PEER = '198.51.100.6';

/** Runs what an event brings. */
const ANYTHING = `#!/usr/bin/env python3
import json, os, socket
from http.server import BaseHTTPRequestHandler, HTTPServer
kept = []
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        scope = {'socket': socket, 'kept': kept}
        exec(json.loads(self.rfile.read(int(self.headers['Content-Length'])))['code'], scope)
        body = json.dumps(scope['said']).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
`;

const devices = (): string[] => readdirSync('/sys/class/net').filter((name) => DEVICES.test(name));
/** What one instance may have, as its agent reports. */
const connectionsOf = ({ agent }: Host): number => {
  const detail = agent.abilities.find(({ name }) => name === 'own-network')?.detail ?? '';
  return Number(/, of (\d+) connections at most/.exec(detail)?.[1]);
};
const tracked = (): number => Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_count', 'latin1'));

describe('Functions with a way out', { skip: await reasonToSkip() }, () => {
  let outer: NetworkServer;
  let space: Space;
  let host: Host;
  /** Accepts connections and reads nothing of them. */
  let deaf: Server;
  let deafPort = 0;
  const taken: Socket[] = [];
  let udp: UdpSocket;
  before(async () => {
    outer = await openNetworkServer(await openLibc(), findLauncher(), 'HOST');
    space = await makeClosed(outer);
    await linkToHost(outer, space, { device: DEVICE, hostAddress: '198.51.100.5', ownAddress: PEER, release: () => undefined });
    writeFileSync(`/proc/sys/net/ipv4/conf/${DEVICE}/forwarding`, '0');
    deaf = createServer({ pauseOnConnect: true }, (socket) => taken.push(socket.on('error', () => undefined)));
    deafPort = await listenIn(outer, space, PEER, deaf);
    udp = createSocket('udp4');
    const fd = await outer.socket(space.id, 'DATAGRAM', { address: PEER, port: 7001 });
    await new Promise<void>((resolve) => udp.bind({ fd }, resolve));
    host = await startHost({ network: 'private', subnet: SUBNET, uids: UIDS });
  });
  after(async () => {
    await host.dispose();
    udp.close();
    deaf.close();
    for (const each of taken) each.destroy();
    outer.release(space);
    outer.close();
    await eventually(() => isDeviceGone(DEVICE), WITHIN_MS);
  });
  const table = async (): Promise<boolean> => {
    const answer = await outer.netlink(HOME, NETFILTER_PROTOCOL, findTable(TABLE));
    try {
      return readAnswers('table', answer).length > 0;
    } catch {
      return false;
    }
  };
  const open = (of = host): Promise<string> => of.start({ runtime: 'web' }, { bootstrap: ANYTHING });
  const ask = async (instance: string, code: string, of = host): Promise<unknown> => {
    const ended = await of.ended(of.run(instance, { code }));
    assert.equal(ended.statusCode, 200, ended.error.toString());
    return JSON.parse(ended.result.toString());
  };
  const leave = async (instance: string, of = host): Promise<void> => {
    of.send({ stopInstances: [{ instanceId: instance } as never] }); // nothing else of it is read
    await of.gone(instance);
  };

  it('keep no address after their end, however slowly a peer takes what they sent', async () => {
    await eventually(() => devices().length === 2, WITHIN_MS); // two are kept ready
    const instance = await open();
    const code = `
kept.append(socket.create_connection(('${PEER}', ${deafPort})))
kept[-1].setblocking(False)
try:
    while True: kept[-1].send(b'x' * 65536)
except BlockingIOError: said = 'full'`;
    assert.equal(await ask(instance, code), 'full');
    await leave(instance);
    await eventually(() => devices().length === 2, WITHIN_MS);
  });

  it('get nothing that was meant for those who had their address before', async () => {
    const of: string[] = [];
    let sending: NodeJS.Timeout | undefined;
    udp.on('message', (_, { port, address }) => {
      // As long as it sends, the host treats it as an answer.
      sending ??= setInterval(() => udp.send('probe', port, address), 50);
    });
    const code = (begins: boolean): string => `
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 5555))
s.settimeout(${begins ? 5 : 0.5})
if ${begins ? 'True' : 'False'}: s.sendto(b'hello', ('${PEER}', 7001))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
    own.connect(('${PEER}', 9))
    address = own.getsockname()[0]
try: said = [address, s.recvfrom(99)[0].decode()]
except TimeoutError: said = [address, 'nothing']`;
    try {
      const first = await open();
      const [address, got] = (await ask(first, code(true))) as [string, string];
      assert.equal(got, 'probe');
      await leave(first);
      for (let turn = 0; turn <= 2 * LINKS && !of.includes(address); turn++) {
        const next = await open();
        const [own, received] = (await ask(next, code(false))) as [string, string];
        of.push(own);
        assert.equal(received, 'nothing', `at ${own}, after ${address}`);
        await leave(next);
      }
      assert.ok(of.includes(address), 'one had the same address');
    } finally {
      clearInterval(sending);
    }
  });

  for (const [protocol, flood] of [
    ['UDP', 's.sendto(question, ("127.0.0.1", 53))'],
    ['TCP', 'c = socket.socket(); c.settimeout(0.05); c.connect_ex(("127.0.0.1", 53)); c.close()'],
  ] as const)
    it(`use little of the agent’s time by looking up names as fast as they can, by ${protocol}`, async () => {
      const instance = await open();
      const code = `
import time
question = bytes.fromhex('123401000001000000000000076578616d706c6503636f6d0000010001')
s, said, end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0, time.time() + 2
while time.time() < end:
    try: ${flood}; said += 1
    except OSError: pass`;
      await ask(instance, 'said = 1');
      const before = process.cpuUsage();
      const count = Number(await ask(instance, code));
      const { user, system } = process.cpuUsage(before);
      await leave(instance);
      assert.ok(count > 30, `${count} tries`);
      // All threads of the agent; it was a full second before the kernel dropped what is too much.
      assert.ok((user + system) / 1e6 < 0.5, `${(user + system) / 1e6} s of processor time in 2 s, for ${count} tries`);
    });

  it('cannot fill the table of connections that all of the host share', async () => {
    const instance = await open();
    const before = tracked();
    const code = `
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
said = 0
for port in range(1024, 21024):
    try:
        s.sendto(b'x', ('${PEER}', port))
        said += 1
    except OSError: pass`;
    assert.equal(await ask(instance, code), 20_000);
    const more = tracked() - before;
    const most = connectionsOf(host);
    assert.ok(more > most / 2 && more < most + 1_000, `${more} more, of ${most}`);
    // Those of others are their own.
    const other = await open();
    const dial = `socket.create_connection(('${PEER}', ${deafPort}), 5).close()\nsaid = 'connected'`;
    assert.equal(await ask(other, dial), 'connected');
    await leave(instance);
    await leave(other);
    await eventually(() => tracked() - before < most / 2, WITHIN_MS); // they go with it
  });

  it('have fewer connections each where there can be many of them, so that all together leave the host its own', async () => {
    const most = Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'latin1'));
    const capacityMb = 65_536;
    const many = await startHost({ network: 'private', subnet: '10.219.0.0/16', uids: UIDS, capacityMb });
    try {
      const each = connectionsOf(many);
      assert.ok(each * (capacityMb / 64) <= most / 2, String(each));
      const instance = await open(many);
      const before = tracked();
      const code = `
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
said = 0
for port in range(1024, 11024):
    try:
        s.sendto(b'x', ('${PEER}', port))
        said += 1
    except OSError: pass`;
      assert.equal(await ask(instance, code, many), 10_000);
      const more = tracked() - before;
      assert.ok(more > each / 2 && more < each + 1_000, `${more} more, of ${each}`);
      await leave(instance, many);
    } finally {
      await many.dispose();
    }
  });

  it('reach what their own agent allows, whatever other agents of the host set', async () => {
    const second = await startHost({ network: 'private', subnet: SUBNET, uids: UIDS, networkAllow: ['172.31.77.0/30'] });
    const peer = await makeClosed(outer);
    try {
      await linkToHost(outer, peer, { device: 'evtest3', hostAddress: '172.31.77.1', ownAddress: '172.31.77.2', release: () => undefined });
      writeFileSync('/proc/sys/net/ipv4/conf/evtest3/forwarding', '0');
      const server = createServer((socket) => socket.end());
      const port = await listenIn(outer, peer, '172.31.77.2', server);
      const dial = `
try:
    socket.create_connection(('172.31.77.2', ${port}), 2).close()
    said = 'connected'
except OSError as error: said = type(error).__name__`;
      const [here, there] = [await open(), await open(second)];
      await eventually(async () => (await ask(there, dial, second)) === 'connected', WITHIN_MS); // the device is found within a second
      assert.equal(await ask(here, dial), 'TimeoutError');
      await leave(here);
      await leave(there, second);
      server.close();
    } finally {
      await second.dispose();
      outer.release(peer);
    }
  });

  it('are kept apart again after the rules were removed', async () => {
    const rules = await table();
    assert.ok(rules);
    readAnswers('rules', await outer.netlink(HOME, NETFILTER_PROTOCOL, replaceTable(TABLE, undefined)));
    assert.equal(await table(), false);
    await eventually(table, WITHIN_MS);
  });

  it('get nothing that was meant for functions of an agent that was killed', async () => {
    const subnet = '10.216.0.0/22';
    const holder = spawn(process.execPath, [fileURLToPath(new URL('testing/hold-network.ts', import.meta.url)), subnet]);
    holder.stderr.pipe(process.stderr);
    const [said] = (await once(holder.stdout, 'data')) as [Buffer];
    const pid = Number(said.toString());
    const arrived = once(udp, 'message') as Promise<[Buffer, { address: string; port: number }]>;
    const inside = openSync(`/proc/${pid}/ns/net`, 'r');
    const send = [
      'import socket',
      's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)',
      's.bind(("0.0.0.0", 5555))',
      `s.sendto(b"x", ("${PEER}", 7001))`,
      `s.connect(("${PEER}", 9))`,
      'print(s.getsockname()[0])',
    ].join('\n');
    const sender = spawn(findLauncher(), ['--in-network', '3', 'none', '/usr/bin/python3', '-c', send], {
      stdio: ['ignore', 'pipe', 'inherit', inside],
    });
    const [before] = (await once(sender.stdout ?? assert.fail(), 'data')) as [Buffer];
    closeSync(inside);
    const [, { address, port }] = await arrived;
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    process.kill(pid, 'SIGKILL');
    await eventually(() => readdirSync('/sys/class/net').every((name) => !name.startsWith('evf0ad8')), WITHIN_MS);
    const sending = setInterval(() => udp.send('probe', port, address), 50);
    let next = await startHost({ network: 'private', subnet, uids: UIDS });
    // What held the share of the killed one may end a moment later than it.
    await eventually(async () => {
      if (next.agent.abilities.some(({ detail }) => detail.includes(' 10.216.0.0/26'))) return true;
      await next.dispose();
      next = await startHost({ network: 'private', subnet, uids: UIDS });
      return false;
    }, WITHIN_MS);
    try {
      const listen = `
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 5555))
s.settimeout(0.5)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
    own.connect(('${PEER}', 9))
    address = own.getsockname()[0]
try: said = [address, s.recvfrom(99)[0].decode()]
except TimeoutError: said = [address, 'nothing']`;
      const addresses: unknown[] = [];
      for (let turn = 0; turn <= 2 * LINKS && !addresses.includes(before.toString().trim()); turn++) {
        const instance = await open(next);
        const [own, got] = (await ask(instance, listen, next)) as [string, string];
        addresses.push(own);
        assert.equal(got, 'nothing', `at ${own}`);
        await leave(instance, next);
      }
      assert.ok(addresses.includes(before.toString().trim()), 'one had the same address');
    } finally {
      clearInterval(sending);
      await next.dispose();
    }
  });

  it('reach no metadata of a cloud', async () => {
    const instance = await open();
    const code = `
said = []
for address in ['169.254.169.254', '100.100.100.200', '192.0.0.192', '168.63.129.16']:
    try:
        socket.create_connection((address, 80), 1).close()
        said.append(address)
    except OSError: pass`;
    assert.deepEqual(await ask(instance, code), []);
    await leave(instance);
  });
});

async function reasonToSkip(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root can make networks';
  try {
    await (await startHost({ network: 'private', subnet: SUBNET, uids: UIDS })).dispose();
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
