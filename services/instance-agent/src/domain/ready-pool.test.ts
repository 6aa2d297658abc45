import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  claimable,
  MOST_READY,
  nameOf,
  type ReadyDemand,
  type ReadyKind,
  readyKindOf,
  type ReadyState,
  stepOf,
  UNUSED_AFTER_MS,
} from './ready-pool.ts';

const node = (memoryMb = 128): ReadyKind => ({ runtime: 'nodejs', memoryMb });
const python = (memoryMb = 128): ReadyKind => ({ runtime: 'python3', memoryMb });
const up = (id: string, kind: ReadyKind): ReadyState => ({ id, kind, isUp: true });
const used = (...uses: readonly (readonly [ReadyKind, number])[]): ReadyDemand['uses'] =>
  new Map(uses.map(([kind, usedMs]) => [nameOf(kind), { kind, usedMs }]));
const demand = (more: Partial<ReadyDemand>): ReadyDemand => ({
  nowMs: 1_000_000,
  uses: used(),
  ready: [],
  perKind: 1,
  freeMb: 4096,
  isCalm: true,
  ...more,
});
const NOTHING = { end: [], start: undefined };

describe('Which processes are kept ready', () => {
  it('none before the first use, then one of the kind', () => {
    assert.deepEqual(stepOf(demand({})), NOTHING);
    const uses = used([node(), 999_000]);
    assert.deepEqual(stepOf(demand({ uses })), { end: [], start: node() });
    assert.deepEqual(stepOf(demand({ uses, ready: [up('a', node())] })), NOTHING);
  });

  it('none of a kind that was not used for ten minutes', () => {
    const uses = used([node(), 1_000_000 - UNUSED_AFTER_MS]);
    assert.deepEqual(stepOf(demand({ uses, ready: [up('a', node())] })), { end: ['a'], start: undefined });
  });

  it('none is started while instances start, nor while another one does', () => {
    const uses = used([node(), 999_000], [python(), 999_500]);
    assert.equal(stepOf(demand({ uses, isCalm: false })).start, undefined);
    assert.equal(stepOf(demand({ uses, ready: [{ ...up('a', node()), isUp: false }] })).start, undefined);
    assert.deepEqual(stepOf(demand({ uses, ready: [up('a', node())] })).start, python());
  });

  it('the kinds used last come first, where there is no room for all', () => {
    const uses = used([node(128), 1], [node(256), 2], [python(128), 3], [python(256), 4], [python(512), 5]);
    const ready = [up('a', node(128)), up('b', node(256)), up('c', python(128)), up('d', python(256))];
    assert.deepEqual(stepOf(demand({ nowMs: 10, uses, ready })), { end: ['a'], start: python(512) });
    assert.deepEqual(stepOf(demand({ nowMs: 10, uses, ready, freeMb: 800 })), { end: ['a', 'b', 'c'], start: python(512) });
  });

  it('they make room for instances', () => {
    const uses = used([node(), 999_000]);
    assert.deepEqual(stepOf(demand({ uses, ready: [up('a', node())], freeMb: 127 })), { end: ['a'], start: undefined });
    assert.equal(stepOf(demand({ uses, freeMb: -1 })).start, undefined);
  });

  it('never more than requested, than four, than there is room for', () => {
    const kinds = fc.constantFrom(node(), node(256), python(), python(64), python(1024));
    const input = fc.record({
      uses: fc.array(fc.tuple(kinds, fc.integer({ min: 300_000, max: 1_000_000 })), { maxLength: 8 }),
      ready: fc.array(fc.tuple(kinds, fc.boolean()), { maxLength: 8 }),
      perKind: fc.integer({ min: 0, max: 4 }),
      freeMb: fc.integer({ min: -100, max: 3000 }),
    });
    fc.assert(
      fc.property(input, ({ uses, ready, perKind, freeMb }) => {
        const states = ready.map(([kind, isUp], index) => ({ id: String(index), kind, isUp }));
        const step = stepOf(demand({ uses: used(...uses), ready: states, perKind, freeMb }));
        const left = states.filter(({ id }) => !step.end.includes(id)).map(({ kind }) => kind);
        const after = step.start ? [...left, step.start] : left;
        assert.ok(after.length <= MOST_READY);
        assert.ok(after.reduce((sum, { memoryMb }) => sum + memoryMb, 0) <= Math.max(0, freeMb));
        for (const kind of after) assert.ok(after.filter((each) => nameOf(each) === nameOf(kind)).length <= perKind);
        if (step.start) assert.ok(states.every(({ isUp }) => isUp));
      }),
    );
  });
});

describe('A version', () => {
  const fn = { runtime: 'python3', memoryMb: 128, environment: {}, tmpMb: 512, maxProcesses: 256 };
  it('claims a process of its runtime and memory size that is up', () => {
    const ready = [{ ...up('a', python()), isUp: false }, up('b', python(256)), up('c', node()), up('d', python()), up('e', python())];
    assert.equal(claimable(ready, python())?.id, 'd');
    assert.equal(claimable(ready, node(512)), undefined);
  });

  it('starts in the ordinary way where its variables are read at the start of a process, or its program is its own', () => {
    assert.deepEqual(readyKindOf(fn), python());
    assert.deepEqual(
      readyKindOf({ ...fn, environment: { MODE: 'blue', NODES: '3', TZ_OFFSET: '1', PATH: '/bin', LDAP_URL: 'x' } }),
      python(),
    );
    assert.deepEqual(readyKindOf({ ...fn, tmpMb: 0, maxProcesses: 0 }), python(), 'of a release without these');
    for (const own of [{ tmpMb: 513 }, { maxProcesses: 255 }]) assert.equal(readyKindOf({ ...fn, ...own }), undefined);
    for (const runtime of ['custom', 'go1', 'web']) assert.equal(readyKindOf({ ...fn, runtime }), undefined);
    const read = ['NODE_OPTIONS', 'NODE_PATH', 'LD_PRELOAD', 'PYTHONPATH', 'PYTHONHASHSEED', 'UV_THREADPOOL_SIZE', 'TZ', 'LANG', 'LC_ALL'];
    const more = ['LANGUAGE', 'OPENSSL_CONF', 'SSL_CERT_FILE', 'MALLOC_ARENA_MAX', 'MALLOC_CHECK_', 'GLIBC_TUNABLES', 'HOME', 'GCONV_PATH'];
    for (const name of [...read, ...more]) assert.equal(readyKindOf({ ...fn, environment: { [name]: 'x' } }), undefined, name);
  });
});
