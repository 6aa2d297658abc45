import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linkPool, overlap, rangeText, sharesOf, subnetOf } from './subnet.ts';

const faultOf = (text: string): string => {
  try {
    subnetOf(text);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
};

describe('A subnet', () => {
  it('is a private range, large enough to be shared, and written by its first address', () => {
    for (const good of ['10.213.0.0/16', '10.0.0.0/8', '172.16.0.0/12', '192.168.4.0/22', '100.64.0.0/10'])
      assert.equal(rangeText(subnetOf(good)), good);
    for (const [bad, why] of [
      ['', /is not of the form/],
      ['10.213.0.0', /is not of the form/],
      ['10.213.0.0/33', /is not of the form/],
      ['10.213.0.256/16', /is not of the form/],
      ['10.213.0.0/16 ', /is not of the form/],
      ['0x0a.0.0.0/8', /is not of the form/],
      ['10.213.1.0/16', /does not begin with its first address/],
      ['10.213.0.0/23', /has 23 bits/],
      ['0.0.0.0/0', /has 0 bits/],
      ['11.0.0.0/8', /is in none of/],
      ['172.0.0.0/8', /is in none of/],
      ['192.169.0.0/16', /is in none of/],
    ] as const)
      assert.match(faultOf(bad), why, bad);
  });

  it('is shared by sixteen agents, none of which has what another has', () => {
    const shares = sharesOf(subnetOf('10.213.0.0/16'));
    assert.deepEqual(shares.slice(0, 2).concat(shares.slice(-1)).map(rangeText), ['10.213.0.0/20', '10.213.16.0/20', '10.213.240.0/20']);
    for (const one of shares)
      assert.deepEqual(
        shares.filter((other) => overlap(one, other)),
        [one],
      );
  });
});

describe('Links', () => {
  const small = () => linkPool(subnetOf('10.213.0.0/22'));

  it('have two addresses and a device each, each used once', () => {
    const pool = small();
    const links = Array.from({ length: 257 }, () => pool.claim(() => true));
    assert.deepEqual([links[0]?.device, links[0]?.hostAddress, links[0]?.ownAddress], ['evf0ad50000', '10.213.0.1', '10.213.0.2']);
    assert.deepEqual([links[255]?.hostAddress, links[256]], ['10.213.3.253', undefined]);
    const addresses = links.flatMap((link) => (link ? [link.hostAddress, link.ownAddress, link.device] : []));
    assert.equal(new Set(addresses).size, 256 * 3);
  });

  it('are used again when they are released, once, and when the device is gone', () => {
    const pool = small();
    const all = Array.from({ length: 256 }, () => pool.claim(() => true));
    all[7]?.release();
    all[7]?.release();
    all[9]?.release();
    assert.equal(pool.claim((device) => device !== all[7]?.device)?.device, all[9]?.device);
    assert.equal(
      pool.claim(() => false),
      undefined,
    );
    assert.equal(pool.claim(() => true)?.device, all[7]?.device);
    assert.equal(
      pool.claim(() => true),
      undefined,
    );
  });
});
