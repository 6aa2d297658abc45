import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import type { InstanceNetwork } from '../../ports.ts';
import { findLauncher } from '../process/launch/launcher-program.ts';
import { type Libc, openLibc } from './libc.ts';
import { type NetworkServer, openNetworkServer } from './network-server.ts';
import { ownNetwork } from './own-network.ts';
import { makeClosed } from './link-to-host.ts';

const words = process.getuid?.() === 0 ? ['--net'] : ['--user', '--net'];
const mayMake = spawnSync('unshare', [...words, '--', 'true']).status === 0;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('A network of its own', { skip: mayMake ? false : 'this user can make none here' }, () => {
  let libc: Libc;
  let server: NetworkServer;
  let network: InstanceNetwork;
  const open = async (): Promise<InstanceNetwork> =>
    ownNetwork(libc, server, await makeClosed(server), { resolvConf: undefined, onClose: () => undefined });
  /** A process in it. */
  const start = (of: InstanceNetwork, ...program: string[]): ChildProcess => {
    const { fd, ownerFd } = of.place ?? assert.fail('it has a place');
    const handed = ownerFd === undefined ? [fd] : [fd, ownerFd];
    const args = ['--in-network', '3', ownerFd === undefined ? 'none' : '4', ...program];
    return spawn(findLauncher(), args, { stdio: ['ignore', 'pipe', 'inherit', ...handed] });
  };
  before(async () => {
    libc = await openLibc();
    server = await openNetworkServer(libc, findLauncher(), process.getuid?.() === 0 ? 'HOST' : 'USER_NAMESPACE');
    network = await open();
  });
  after(() => {
    network.close();
    server.close();
  });

  it('refuses where no process listens, later and once', async () => {
    const results: (Socket | Error)[] = [];
    network.connect(9000, (result) => results.push(result));
    assert.deepEqual(results, []);
    await eventually(() => results.length > 0);
    assert.equal((results[0] as unknown as NodeJS.ErrnoException).code, 'ECONNREFUSED'); // an error, or this fails
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(results.length, 1);
  });

  it('does not wait for a server that accepts no connections, and closes what is cancelled', async () => {
    const script = [
      'import socket, time',
      'with socket.socket() as s:',
      '    s.bind(("127.0.0.1", 9000))',
      '    s.listen(0)',
      '    print("up", flush=True)',
      '    time.sleep(3600)',
    ].join('\n');
    const listening = start(network, '/usr/bin/python3', '-c', script);
    await once(listening.stdout ?? assert.fail(), 'data');
    const before = descriptors();
    const connected: Socket[] = [];
    const faults: Error[] = [];
    const breakOffs = Array.from({ length: 5 }, () =>
      network.connect(9000, (result) => (result instanceof Error ? faults.push(result) : connected.push(result))),
    );
    await eventually(() => connected.length > 0 && descriptors() === before + 5);
    assert.ok(connected.length < 5, 'its backlog is shorter');
    assert.deepEqual(faults, []);
    for (const breakOff of breakOffs) breakOff();
    for (const socket of connected) socket.destroy();
    await eventually(() => descriptors() === before);
    listening.kill('SIGKILL');
    await once(listening, 'exit');
  });

  it('claims every port once', async () => {
    assert.deepEqual([await network.claimPort(9000), await network.claimPort(undefined)], [9000, 20_000]);
    assert.deepEqual([await network.claimPort(9000), await network.claimPort(undefined)], [20_001, 20_002]);
    network.releasePort(9000);
    assert.equal(await network.claimPort(9000), 9000);
  });

  it('is another one than that of the agent, which never leaves its own, and than those of others', async () => {
    const other = await open();
    const seen = await Promise.all(
      [network, other].map(async (each) => {
        const child = start(each, '/bin/readlink', '/proc/self/ns/net');
        const [said] = (await once(child.stdout ?? assert.fail(), 'data')) as [Buffer];
        return said.toString().trim();
      }),
    );
    assert.equal(new Set([readlinkSync('/proc/self/ns/net'), ...seen]).size, 3);
    other.close();
  });

  it('answers requests that are made at once, each with its own result', async () => {
    const networks = await Promise.all(Array.from({ length: 20 }, open));
    const places = networks.map(({ place }) => readlinkSync(`/proc/self/fd/${place?.fd}`));
    assert.equal(new Set(places).size, 20);
    const before = descriptors();
    for (const each of networks) each.close();
    assert.equal(descriptors(), before - 20);
    await assert.rejects(server.socket(99_999, 'STREAM'), /socket/);
    await assert.rejects(server.socket(0, 'STREAM', { address: '192.0.2.1', port: 1 }));
  });

  it('is not worked in by an agent that has lost its server: it ends', () => {
    const lost = `
      import { openLibc } from ${JSON.stringify(new URL('libc.ts', import.meta.url).href)};
      import { openNetworkServer } from ${JSON.stringify(new URL('network-server.ts', import.meta.url).href)};
      import { readFileSync } from 'node:fs';
      const server = await openNetworkServer(await openLibc(), ${JSON.stringify(findLauncher())}, 'USER_NAMESPACE');
      process.kill(Number(readFileSync('/proc/thread-self/children', 'latin1').trim()), 'SIGKILL');
      setInterval(() => undefined, 1000);
      setTimeout(() => console.log('went on'), 20_000);`;
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', lost], { encoding: 'utf8' });
    assert.deepEqual([done.status, done.stdout], [71, '']);
    assert.match(done.stderr, /^The agent has lost the networks of its functions and ends: /);
  });
});
