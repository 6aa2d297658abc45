import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import type { InstanceNetwork } from '../../ports.ts';
import { findConnectionOwners } from './connection-owners.ts';
import { type Libc, openLibc } from './libc.ts';
import { openNamespaces } from './namespaces.ts';
import { ownNetwork } from './own-network.ts';

const isRoot = process.getuid?.() === 0;
const mayMake = isRoot && spawnSync('unshare', ['--net', '--', 'true']).status === 0;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('A network of its own', { skip: mayMake ? false : 'only root with CAP_SYS_ADMIN can make one' }, () => {
  let libc: Libc;
  let spaces: ReturnType<typeof openNamespaces>;
  let network: InstanceNetwork;
  before(async () => {
    libc = await openLibc();
    spaces = openNamespaces(libc);
    network = ownNetwork(libc, await findConnectionOwners(), spaces.make(), () => undefined);
  });
  after(() => {
    network.close();
    spaces.close();
  });

  it('refuses where nobody listens, later and once', async () => {
    const told: (Socket | Error)[] = [];
    network.connect(9000, (result) => told.push(result));
    assert.deepEqual(told, []);
    await eventually(() => told.length > 0);
    assert.equal((told[0] as unknown as NodeJS.ErrnoException).code, 'ECONNREFUSED'); // an error, or this fails
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(told.length, 1);
  });

  it('does not wait for a server that takes no connections, and lets go of what is broken off', async () => {
    const script = [
      'import socket, time',
      'with socket.socket() as s:',
      '    s.bind(("127.0.0.1", 9000))',
      '    s.listen(0)',
      '    print("up", flush=True)',
      '    time.sleep(3600)',
    ].join('\n');
    const server = network.enter(() => spawn('/usr/bin/python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] }));
    await once(server.stdout, 'data');
    assert.equal(network.uidOfListener(9000), 0);
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
    server.kill('SIGKILL');
    await once(server, 'exit');
  });

  it('gives every port once', async () => {
    assert.deepEqual([await network.takePort(9000), await network.takePort(undefined)], [9000, 20_000]);
    assert.deepEqual([await network.takePort(9000), await network.takePort(undefined)], [20_001, 20_002]);
    network.releasePort(9000);
    assert.equal(await network.takePort(9000), 9000);
  });

  it('is left whatever happens in it, entered one at a time, and not again once it is closed', () => {
    const other = spaces.make();
    const here = (): string => readlinkSync('/proc/thread-self/ns/net');
    const home = here();
    assert.throws(
      () => network.enter(() => assert.fail(`in ${here()}`)),
      (error: Error) => error.message !== `in ${home}`,
    );
    assert.equal(here(), home);
    assert.throws(() => network.enter(() => other.enter(() => undefined)), /one network is entered at a time/);
    assert.equal(here(), home);
    assert.equal(new Set([home, network.enter(here), other.enter(here)]).size, 3);
    other.close();
    assert.throws(() => other.enter(() => undefined), /is over/);
  });

  it('is not worked in by an agent that cannot get back: it ends', () => {
    const lost = `
      import { openNamespaces } from ${JSON.stringify(new URL('namespaces.ts', import.meta.url).href)};
      const libc = { newNetwork() {}, raiseLoopback() {}, enterNetwork() { throw new Error('no way'); } };
      process.on('uncaughtException', () => console.log('went on'));
      openNamespaces(libc).make();
      console.log('went on');`;
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', lost], { encoding: 'utf8' });
    assert.deepEqual([done.status, done.stdout], [71, '']);
    assert.equal(done.stderr, 'The agent cannot get back into its own network and ends: no way\n');
  });
});
