// Who reaches whom, for each network and sandbox, as root. By an ordinary user: networks-ordinary-user.int.test.ts.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '@evenfall/testkit';
import { openLibc } from './adapters/network/libc.ts';
import { HOME, type NetworkServer, openNetworkServer, type Space } from './adapters/network/network-server.ts';
import { message, readAnswers } from './adapters/network/netlink/message.ts';
import { NETFILTER_PROTOCOL } from './adapters/network/netlink/rules.ts';
import { listenIn } from './adapters/network/own-network.ts';
import { isDeviceGone, makeClosed, linkToHost } from './adapters/network/link-to-host.ts';
import { findProgram } from './adapters/process/launch/find-program.ts';
import { findLauncher } from './adapters/process/launch/launcher-program.ts';
import { type Host, startHost } from './testing/host.ts';
import { reasonToSkip, type SandboxName, SANDBOXES } from './testing/sandboxes.ts';
import { listenOn, type Place, probesOf } from './testing/network-probe.ts';

const LEAVES_WITHIN_MS = 60_000;
const SUBNET = '10.214.0.0/18';
const OF_SUBNET = /^evf0ad6/;
const SETTINGS = '/proc/sys/net/ipv4';
const isRoot = process.getuid?.() === 0;
const noPrivate = await reasonToSkipNetwork('private', 'process');
const METADATA: Place = ['169.254.169.254', 80];
const ELSEWHERE: Place = ['192.168.78.1', 80];

const hostAddress = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family, address }) => !internal && family === 'IPv4' && !address.startsWith('10.21'))?.address;
const descriptors = (): number => readdirSync('/proc/self/fd').length;
const devices = (): string[] => readdirSync('/sys/class/net').filter((name) => OF_SUBNET.test(name));
/** Network namespaces in which there is a process of an agent: other tests have theirs at the same time. */
const networksOf = (agentId: string): number => {
  const links = readdirSync('/proc').flatMap((pid) => {
    try {
      const isOwn = /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`EVENFALL_AGENT_ID=${agentId}\0`);
      return isOwn ? [readlinkSync(`/proc/${pid}/ns/net`)] : [];
    } catch {
      return []; // it has gone
    }
  });
  return new Set(links).size;
};
/** Networks of the test's own, for peers outside. */
let outer: NetworkServer;
before(async () => {
  if (isRoot) outer = await openNetworkServer(await openLibc(), findLauncher(), 'HOST');
});
after(() => {
  outer?.close();
});

/** A peer behind a device of the host's, in a network of its own. */
async function openPeer(device: string, hostSide: string, address: string) {
  await eventually(() => isDeviceGone(device), LEAVES_WITHIN_MS); // of a test before
  const space = await makeClosed(outer);
  await linkToHost(outer, space, { device, hostAddress: hostSide, ownAddress: address, release: () => undefined });
  writeFileSync(`${SETTINGS}/conf/${device}/forwarding`, '0'); // as devices of a host are that is no router
  const callers: (string | undefined)[] = [];
  const server = createServer((socket) => {
    callers.push(socket.remoteAddress);
    socket.on('error', () => undefined).end();
  });
  const port = await listenIn(outer, space, address, server);
  return {
    place: [address, port] as const,
    callers,
    space,
    close() {
      server.close();
      outer.release(space);
    },
  };
}

/** Tables of nf_tables, as the kernel lists them. */
async function tables(): Promise<string[]> {
  const asked = message((10 << 8) | 1, 0x300, Buffer.of(2, 0, 0, 0));
  return readAnswers('tables', await outer.netlink(HOME, NETFILTER_PROTOCOL, asked)).flatMap(({ body }) =>
    [...body.toString('latin1').matchAll(/evenfall_[0-9_]+/g)].map(([name]) => name),
  );
}

const SHAPES = ['auto', 'none', 'host'] as const;
const skips = new Map<string, string | false>();
for (const network of SHAPES)
  for (const sandbox of SANDBOXES)
    if (sandbox !== 'gvisor' || network !== 'host') skips.set(`${network} ${sandbox}`, await reasonToSkipNetwork(network, sandbox));

for (const network of SHAPES) {
  for (const sandbox of SANDBOXES) {
    if (sandbox === 'gvisor' && network === 'host') continue; // gvisor.int.test.ts: refused

    describe(`Functions with network ${network} in sandbox ${sandbox}`, { skip: skips.get(`${network} ${sandbox}`) ?? false }, () => {
      let host: Host;
      let probes: ReturnType<typeof probesOf>;
      let outside: Awaited<ReturnType<typeof openPeer>>;
      let allowed: typeof outside;
      before(async () => {
        outside = await openPeer('evtest0', '198.51.100.1', '198.51.100.2');
        allowed = await openPeer('evtest1', '192.168.77.1', '192.168.77.2');
        host = await startHost({ network, sandbox, subnet: SUBNET, networkAllow: ['192.168.77.0/30'] });
        probes = probesOf(host);
      });
      after(async () => {
        await host.dispose();
        for (const peer of [outside, allowed]) peer.close();
      });
      const by = <T>(of: Record<typeof network, T>): T => of[network];

      it('have the port they want, on a loopback of their own where they have one', async () => {
        const instances = await Promise.all([probes.web(), probes.web(), probes.web()]);
        const ports = (await Promise.all(instances.map((each) => probes.ask(each)))).map(({ port }) => port);
        assert.equal(new Set(ports).size, by({ auto: 1, none: 1, host: 3 }));
        await Promise.all(instances.map(probes.leave));
      });

      it('speak to their runtime API', async () => {
        const instance = await probes.custom();
        for (const n of [1, 2]) assert.equal((await host.ended(host.run(instance, { n }))).result.toString(), `{"n":${n}}`);
        await probes.leave(instance);
      });

      it('reach what they are to reach, and nothing else', async () => {
        assert.ok(hostAddress, 'this host has an address');
        // The platform's API is on the host's loopback, as the first of these.
        const [near, far] = [await listenOn('127.0.0.1'), await listenOn(hostAddress)];
        const other = await probes.web({ environment: { LISTEN: '0.0.0.0' } });
        const { address, port } = await probes.ask(other, { hold: 'evenfall-test-of-another' });
        const held = createServer().listen('\0evenfall-test-of-the-host');
        try {
          const instance = await probes.web();
          const places = [near.place, far.place, outside.place, allowed.place, METADATA, ELSEWHERE] as const;
          const seen = await probes.ask(instance, {
            dial: [...places, [by({ auto: address, none: '127.0.0.1', host: '127.0.0.1' }), Number(port)]],
            abstract: ['evenfall-test-of-another', 'evenfall-test-of-the-host'],
          });
          const [isOpen, no, gone] = ['connected', 'silence', 'ENETUNREACH'];
          // In a network of its own the port of another is its own server's on the loopback.
          assert.deepEqual(
            seen.dialled.slice(0, 4),
            by({
              auto: ['ECONNREFUSED', no, isOpen, isOpen],
              none: ['ECONNREFUSED', gone, gone, gone],
              host: [isOpen, isOpen, isOpen, isOpen],
            }),
          );
          if (network !== 'host') assert.deepEqual(seen.dialled.slice(4, 6), by({ auto: [no, no], none: [gone, gone], host: [] }));
          if (network !== 'none') assert.equal(seen.dialled[6], by({ auto: no, none: '', host: isOpen }));
          assert.deepEqual(seen.abstract, network === 'host' ? [isOpen, isOpen] : ['ECONNREFUSED', 'ECONNREFUSED']);
          assert.deepEqual([near.callers.length, far.callers.length], network === 'host' ? [1, 1] : [0, 0]);
          // In the name of the host, by the address on the way there.
          if (network === 'auto') assert.deepEqual([outside.callers, allowed.callers], [['198.51.100.1'], ['192.168.77.1']]);
          await probes.leave(instance);
        } finally {
          held.close();
          for (const each of [near, far]) each.close();
          await probes.leave(other);
        }
      });

      it('look up names where there is a way out, by both ways to ask', async () => {
        const instance = await probes.web();
        const own = '127.0.0.1';
        const seen = await probes.ask(instance, {
          names: [
            [own, 'udp'],
            [own, 'tcp'],
          ],
        });
        if (network === 'auto') {
          assert.deepEqual(seen.names, ['answered', 'answered']);
          assert.match(seen.resolv, /^nameserver 127\.0\.0\.1\n/);
        } else assert.equal(seen.resolv, readFileSync('/etc/resolv.conf', 'latin1'));
        if (network === 'none') assert.deepEqual(seen.names, ['ECONNREFUSED', 'ECONNREFUSED']);
        await probes.leave(instance);
      });

      it('leave no descriptor, no device and no network behind', { skip: network === 'host' }, async () => {
        const rounds = async (count: number): Promise<void> => {
          for (let at = 0; at < count; at += 5) {
            const five = await Promise.all(Array.from({ length: 5 }, (_, index) => (index % 2 === 0 ? probes.web() : probes.custom())));
            for (const each of five) assert.equal((await host.ended(host.run(each, {}))).statusCode, 200);
            await Promise.all(five.map(probes.leave));
          }
        };
        const hasSettled = (): boolean => devices().length <= 2; // two are kept ready
        await rounds(5); // what is kept from the first start on
        await eventually(hasSettled, LEAVES_WITHIN_MS);
        const [settled, spaces] = [descriptors(), networksOf(host.agentId)];
        await rounds(network === 'auto' && sandbox === 'process' ? 75 : 25); // a leak of one in ten shows
        await eventually(hasSettled, LEAVES_WITHIN_MS);
        await eventually(() => descriptors() <= settled + 2 && networksOf(host.agentId) <= spaces, LEAVES_WITHIN_MS);
        if (network === 'auto') assert.equal((await tables()).filter((name) => name.startsWith('evenfall_10_214')).length, 1);
      });
    });
  }
}

describe('A way out', { skip: noPrivate }, () => {
  it('leads not back in, whatever comes from outside, and makes no router of the host', async (context) => {
    const outside = await openPeer('evtest0', '198.51.100.1', '198.51.100.2');
    const beyond = await openPeer('evtest1', '192.168.77.1', '192.168.77.2');
    context.after(() => [outside, beyond].forEach((each) => each.close()));
    // Both are ways to somewhere that was opened: agents have them pass packets on.
    const host = await startHost({ network: 'private', subnet: SUBNET, networkAllow: ['198.51.100.0/30', '192.168.77.0/30'] });
    try {
      const probes = probesOf(host);
      const instance = await probes.web({ environment: { LISTEN: '0.0.0.0' } });
      const { address, dialled } = await probes.ask(instance, { dial: [outside.place] });
      assert.deepEqual(dialled, ['connected']);
      assert.match(address, /^10\.214\./);
      const server = await fetch(`http://${address}:9000/event-invoke`, { method: 'POST', body: '{}' });
      assert.equal(server.status, 200, 'this host gets to its instances');
      assert.deepEqual(await callsFrom(outside.space, [address, 9000]), 'no');
      assert.deepEqual(await callsFrom(outside.space, beyond.place), 'no');
    } finally {
      await host.dispose();
    }
  });

  it('is not where the host has other ways to the same addresses', async (context) => {
    const peer = await openPeer('evtest0', '192.168.77.1', '192.168.77.2');
    context.after(peer.close);
    await assert.rejects(
      startHost({ network: 'private', subnet: '192.168.76.0/22' }),
      /in use: this host reaches 192\.168\.77\.0\/30 by evtest0/,
    );
  });

  it('is found by a device that comes later', async (context) => {
    const host = await startHost({ network: 'private', subnet: SUBNET, networkAllow: ['192.168.77.0/30'] });
    context.after(() => host.dispose());
    const probes = probesOf(host);
    const peer = await openPeer('evtest1', '192.168.77.1', '192.168.77.2');
    context.after(peer.close);
    const instance = await probes.web();
    await eventually(async () => (await probes.ask(instance, { dial: [peer.place] })).dialled[0] === 'connected', LEAVES_WITHIN_MS);
  });

  it('is nothing that a killed agent leaves in the way', async () => {
    const subnet = '10.215.0.0/22';
    const left = (): string[] => readdirSync('/sys/class/net').filter((name) => name.startsWith('evf0ad7'));
    const rules = async (): Promise<number> => (await tables()).filter((name) => name === 'evenfall_10_215_0_0').length;
    const holder = spawn(process.execPath, [fileURLToPath(new URL('testing/hold-network.ts', import.meta.url)), subnet]);
    holder.stderr.pipe(process.stderr);
    const [said] = (await once(holder.stdout, 'data')) as [Buffer];
    await eventually(() => left().length === 3, 30_000); // its own, and two that are ready
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await eventually(() => left().length === 1, LEAVES_WITHIN_MS);
    process.kill(Number(said.toString()), 'SIGKILL');
    await eventually(() => left().length === 0, LEAVES_WITHIN_MS);
    assert.equal(await rules(), 1);
    const next = await startHost({ network: 'private', subnet });
    assert.equal(await rules(), 1);
    await next.dispose();
    assert.equal(await rules(), 0);
  });
});

describe('An agent', { skip: isRoot ? false : 'only root gets so far' }, () => {
  /** On a machine where nothing is installed that makes networks. */
  const examine = (network: string | undefined, ...rights: string[]) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'evenfall-doctor-'));
    chmodSync(dataDir, 0o711); // without mounts functions have to get to their code
    try {
      return spawnSync(
        findProgram('/usr/bin:/bin', 'setpriv') ?? '',
        [...rights, '--', process.execPath, fileURLToPath(new URL('doctor.ts', import.meta.url))],
        {
          encoding: 'utf8',
          env: {
            PATH: '/nowhere',
            EVENFALL_AGENT_PYTHON: '/usr/bin/python3',
            EVENFALL_AGENT_DATA_DIR: dataDir,
            EVENFALL_AGENT_SUBNET: SUBNET,
            ...(network === undefined ? {} : { EVENFALL_AGENT_NETWORK: network }),
          },
        },
      );
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  };
  const [noMounts, noDevices] = ['--bounding-set=-sys_admin', '--bounding-set=-net_admin'];

  it('without the right to the requested network does not start, and names it', () => {
    for (const right of [noMounts, noDevices]) {
      const { status, stderr } = examine('private', right);
      assert.equal(status, 1);
      assert.match(stderr, /^EVENFALL_AGENT_NETWORK is private, which does not work here: /);
    }
    const none = examine('none', noMounts);
    assert.equal(none.status, 1);
    assert.match(
      none.stderr,
      /^EVENFALL_AGENT_NETWORK is none, and neither can the agent make networks \(.*CAP_SYS_ADMIN.*\) nor the sandbox/,
    );
  });

  it('chooses the best there is where nothing was requested, and reports what is missing', { skip: noPrivate }, () => {
    const best = examine(undefined);
    assert.match(best.stdout, /✓ own-network .*with a way out through this host/, best.stderr);
    assert.match(best.stdout, /✓ way-out/);
    const closed = examine(undefined, noDevices);
    assert.match(closed.stdout, /✓ own-network .*nothing in it but its loopback/, closed.stderr);
    assert.match(closed.stdout, /✗ way-out .*functions reach nothing outside: /);
    const shared = examine(undefined, noMounts);
    assert.match(shared.stdout, /✗ own-network .*share the host’s network.*CAP_SYS_ADMIN/, shared.stderr);
    assert.match(examine('host').stdout, /✗ own-network .*EVENFALL_AGENT_NETWORK is host/);
  });

  it('does not start with addresses that no agent may claim', async () => {
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

/** What comes of a call from a peer's network. */
async function callsFrom(space: Space, [address, port]: Place): Promise<'yes' | 'no'> {
  const script = `import socket; socket.create_connection(("${address}", ${port}), 2)`;
  // Routed by the host, as a neighbour on the link may try.
  const caller = spawn(findLauncher(), ['--in-network', '3', 'none', '/usr/bin/python3', '-c', script], {
    stdio: ['ignore', 'ignore', 'ignore', space.fd],
  });
  const [code] = (await once(caller, 'exit')) as [number];
  return code === 0 ? 'yes' : 'no';
}

async function reasonToSkipNetwork(network: 'auto' | 'none' | 'private' | 'host', sandbox: SandboxName): Promise<string | false> {
  if (!isRoot) return 'only root can make networks';
  const why = sandbox === 'process' ? false : await reasonToSkip(sandbox, [], { subnet: SUBNET });
  if (why !== false) return why;
  try {
    const host = await startHost({ network, sandbox, subnet: SUBNET });
    const found = host.agent.abilities.find(({ name }) => name === 'own-network');
    await host.dispose();
    if (network === 'host' || found?.detail.startsWith('every instance has a network of its own')) return false;
    return `here ${found?.detail}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
