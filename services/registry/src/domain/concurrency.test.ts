import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Concurrency, provisionRefusal, reservableMb, reservationRefusal, unallocatedMb } from './concurrency.ts';

const TOTAL = 10_000;
const f = { namespace: 'default', name: 'f' };
const g = { namespace: 'default', name: 'g' };
const state = (more: Partial<Concurrency>): Concurrency => ({ reservations: [], provisions: [], ...more });
const provision = (of: typeof f, instances: number, version = 1) => ({ ...of, version, instances, memoryMb: 128 });
const NONE = state({});

describe('what can be reserved', () => {
  const cases: readonly (readonly [string, Concurrency, number, string | undefined])[] = [
    ['all but a tenth', NONE, 9_000, undefined],
    ['not the last tenth', NONE, 9_001, 'RESERVED_EXCEEDS_TOTAL'],
    ['nothing, which turns the function off', NONE, 0, undefined],
    ['not less than one instance', NONE, 127, 'INVALID_FIELD'],
    ['what others have not', state({ reservations: [{ ...g, memoryMb: 4_000 }] }), 5_000, undefined],
    ['not what others have', state({ reservations: [{ ...g, memoryMb: 4_000 }] }), 5_001, 'RESERVED_EXCEEDS_TOTAL'],
    ['more than before, its own not counted', state({ reservations: [{ ...f, memoryMb: 9_000 }] }), 9_000, undefined],
    ['not what is provisioned for those that share', state({ provisions: [provision(g, 20)] }), 7_441, 'RESERVED_EXCEEDS_TOTAL'],
    ['beside what is provisioned for those that share', state({ provisions: [provision(g, 20)] }), 7_440, undefined],
    ['what it has provisioned', state({ provisions: [provision(f, 10)] }), 1_280, undefined],
    ['not less than it has provisioned', state({ provisions: [provision(f, 10)] }), 1_279, 'PROVISIONED_EXCEEDS_RESERVED'],
    ['not off with something provisioned', state({ provisions: [provision(f, 1)] }), 0, 'PROVISIONED_EXCEEDS_RESERVED'],
  ];
  for (const [name, before, memoryMb, reason] of cases)
    it(name, () => assert.equal(reservationRefusal(before, { ...f, memoryMb }, 128, TOTAL)?.reason, reason));

  it('is said', () => {
    assert.equal(reservableMb(state({ reservations: [{ ...g, memoryMb: 4_000 }] }), f, TOTAL), 5_000);
    assert.equal(reservableMb(state({ reservations: [{ ...g, memoryMb: 40_000 }] }), f, TOTAL), 0, 'a total that was lowered');
  });
});

describe('what can be provisioned', () => {
  const reserved = state({ reservations: [{ ...f, memoryMb: 1_280 }] });
  const cases: readonly (readonly [string, Concurrency, number, string | undefined])[] = [
    ['all of the total', NONE, 78, undefined],
    ['not more', NONE, 79, 'PROVISIONED_EXCEEDS_TOTAL'],
    ['all that is reserved', reserved, 10, undefined],
    ['not more than is reserved', reserved, 11, 'PROVISIONED_EXCEEDS_RESERVED'],
    ['beside another version', { ...reserved, provisions: [provision(f, 4, 2)] }, 6, undefined],
    ['not what another version has', { ...reserved, provisions: [provision(f, 4, 2)] }, 7, 'PROVISIONED_EXCEEDS_RESERVED'],
    ['instead of what it has', { ...reserved, provisions: [provision(f, 10)] }, 10, undefined],
    ['not what is reserved for others', state({ reservations: [{ ...g, memoryMb: 9_000 }] }), 8, 'PROVISIONED_EXCEEDS_TOTAL'],
    ['not what others share', state({ provisions: [provision(g, 78)] }), 1, 'PROVISIONED_EXCEEDS_TOTAL'],
    [
      'whatever others have of their own',
      state({ reservations: [{ ...g, memoryMb: 1_280 }], provisions: [provision(g, 10)] }),
      68,
      undefined,
    ],
  ];
  for (const [name, before, instances, reason] of cases)
    it(name, () => assert.equal(provisionRefusal(before, provision(f, instances), TOTAL)?.reason, reason));

  it('is said', () => {
    assert.equal(unallocatedMb(reserved, f, TOTAL), 1_280);
    assert.equal(unallocatedMb({ ...reserved, provisions: [provision(f, 4)] }, f, TOTAL), 768);
    assert.equal(unallocatedMb({ ...reserved, provisions: [provision(g, 10)] }, g, TOTAL), 10_000 - 1_280 - 1_280);
  });
});
