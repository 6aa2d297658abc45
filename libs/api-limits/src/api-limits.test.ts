import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressKeyOf, createByteBudget, createConnectionLimits, createGuessLimits } from './index.ts';

class Socket extends EventEmitter {
  readonly remoteAddress: string;
  isDestroyed = false;
  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
}

describe('the address of a caller', () => {
  it('is IPv4, or the network that an IPv6 host may choose addresses from', () => {
    for (const [address, key] of [
      ['10.0.0.1', '10.0.0.1'],
      ['::ffff:10.0.0.1', '10.0.0.1'],
      ['::1', '0:0:0:0::/64'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
      ['2001:db8:1:2::', '2001:db8:1:2::/64'],
      ['2001:db8::5:6:7', '2001:db8:0:0::/64'],
      ['2001:DB8:1:2:ffff::1', '2001:db8:1:2::/64'],
      ['fe80::1%eth0', 'fe80:0:0:0::/64'],
      ['64:ff9b::10.0.0.1', '64:ff9b:0:0::/64'],
      [undefined, 'unknown'],
      ['', 'unknown'],
    ] as const)
      assert.equal(addressKeyOf(address), key, address);
  });
});

describe('connections', () => {
  it('are counted by address and in all, and given back when they close', () => {
    const refused: string[] = [];
    const limits = createConnectionLimits({ total: 5, perAddress: 2 }, (address) => void refused.push(address));
    const open = (address: string): Socket => {
      const socket = new Socket(address);
      assert.equal(limits.admit(socket), !socket.isDestroyed);
      return socket;
    };
    const [first] = [open('10.0.0.1'), open('10.0.0.1')];
    assert.equal(open('10.0.0.1').isDestroyed, true);
    assert.equal(open('::ffff:10.0.0.1').isDestroyed, true, 'the same by another name');
    first?.emit('close');
    assert.equal(open('10.0.0.1').isDestroyed, false);
    open('2001:db8::1');
    open('2001:db8::2');
    assert.equal(open('2001:db8::3').isDestroyed, true, 'one network');
    open('10.0.0.2');
    assert.equal(limits.open, 5);
    assert.equal(open('10.0.0.3').isDestroyed, true, 'one too many in all');
    assert.deepEqual(refused, ['10.0.0.1', '10.0.0.1', '2001:db8:0:0::/64', '10.0.0.3']);
  });
});

describe('guesses', () => {
  it('wait longer and longer, and are forgotten in time', () => {
    let nowMs = 0;
    const limits = createGuessLimits(() => nowMs);
    const some = (count: number): number[] => Array.from({ length: count }, () => limits.failed('10.0.0.1'));
    assert.deepEqual(
      some(10),
      Array.from({ length: 10 }, () => 0),
    );
    assert.deepEqual(some(7), [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    assert.equal(limits.failed('10.0.0.2'), 0, 'another address');
    nowMs += 3_600_000;
    assert.equal(limits.failed('10.0.0.1'), 0);
  });

  it('come to a few a minute from one address however it goes about it', () => {
    let nowMs = 0;
    const limits = createGuessLimits(() => nowMs);
    let answered = 0;
    for (; nowMs < 600_000; answered++) nowMs += limits.failed('10.0.0.1') + 1; // as fast as answers come
    assert.ok(answered < 150, `${answered} in ten minutes`);
  });

  it('of any number of addresses take a bounded memory', () => {
    const limits = createGuessLimits(() => 0);
    for (let i = 0; i < 50_000; i++) limits.failed(`2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`);
    assert.ok(limits.size <= 10_000);
  });
});

describe('a budget of bytes', () => {
  it('is never gone beyond', () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 })), (asked) => {
        const budget = createByteBudget(100);
        const held: number[] = [];
        for (const bytes of asked) {
          if (budget.reserve(bytes)) held.push(bytes);
          else budget.release(held.shift() ?? 0);
          assert.ok(budget.reserved <= 100);
          assert.equal(
            budget.reserved,
            held.reduce((sum, one) => sum + one, 0),
          );
        }
      }),
    ));
});
