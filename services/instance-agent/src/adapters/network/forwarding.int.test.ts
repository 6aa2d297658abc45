import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { claimRange } from '../process/isolation/claim-file.ts';
import { findLauncher } from '../process/launch/launcher-program.ts';
import { openForwarding } from './forwarding.ts';
import { openLibc } from './libc.ts';
import { findLink, readIndex, ROUTE_PROTOCOL, setForwarding } from './netlink/links.ts';
import { HOME, type NetworkServer, openNetworkServer, type Space } from './network-server.ts';
import { makeClosed, linkToHost } from './link-to-host.ts';

const DEVICE = 'evtest9';
const FILE = `/proc/sys/net/ipv4/conf/${DEVICE}/forwarding`;
const isRoot = process.getuid?.() === 0;

describe('Devices that pass packets on for instances', { skip: isRoot ? false : 'only root can switch them' }, () => {
  let server: NetworkServer;
  let space: Space;
  const folder = mkdtempSync(join(tmpdir(), 'evenfall-claims-'));
  const list = join(folder, 'devices');
  const open = (part: number) =>
    openForwarding(server, list, { first: part * 16, count: 16 }, (kind, range) =>
      claimRange(findLauncher(), { kind, ...range }, [folder]),
    );
  const isOn = (): boolean => readFileSync(FILE, 'latin1').trim() === '1';
  before(async () => {
    server = await openNetworkServer(await openLibc(), findLauncher(), 'HOST');
    space = await makeClosed(server);
    const link = { device: DEVICE, hostAddress: '192.168.79.1', ownAddress: '192.168.79.2', release: () => undefined };
    await linkToHost(server, space, link);
    writeFileSync(FILE, '0');
  });
  after(() => {
    server.release(space);
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('are switched on by the first agent, and off by the last', async () => {
    const [first, second] = [await open(0), await open(1)];
    assert.deepEqual(first.missing([DEVICE, 'nosuchdevice']), [DEVICE]);
    first.note([DEVICE]);
    await first.switchOn([DEVICE]);
    assert.ok(isOn());
    assert.deepEqual([second.missing([DEVICE]), second.noted()], [[], [DEVICE]]);
    await first.close();
    assert.ok(isOn(), 'another agent needs it');
    await second.close();
    assert.ok(!isOn());
    assert.deepEqual((await openAndClose(2)).noted, []);
  });

  it('are switched off by the next agent where one was killed, and left where they were on before', async () => {
    const before = await open(0);
    assert.equal((await openAndClose(1)).noted.length, 0);
    await before.close();
    writeFileSync(list, `${DEVICE}\nnosuchdevice\n`); // as one that was killed leaves it
    writeFileSync(FILE, '1');
    assert.deepEqual((await openAndClose(3)).noted, [DEVICE, 'nosuchdevice']);
    assert.ok(!isOn());
    writeFileSync(FILE, '1');
    const next = await open(4);
    assert.deepEqual(next.missing([DEVICE]), []);
    await next.close();
    assert.ok(isOn(), 'it was no agent that switched it on');
  });

  it('can be switched by netlink, where files of the kernel are read-only', async () => {
    const index = readIndex(await server.netlink(HOME, ROUTE_PROTOCOL, findLink(DEVICE)));
    for (const on of [false, true]) {
      await server.netlink(HOME, ROUTE_PROTOCOL, setForwarding(index, on));
      assert.equal(isOn(), on);
    }
  });

  async function openAndClose(part: number): Promise<{ readonly noted: string[] }> {
    const forwarding = await open(part);
    const noted = forwarding.noted();
    await forwarding.close();
    return { noted };
  }
});
