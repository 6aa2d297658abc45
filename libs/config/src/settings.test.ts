import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { duration, integer, list, readSettings, SettingsError, text } from './index.ts';

const lease = duration({ name: 'LEASE', doc: 'A lease.', fallback: '30s', minMs: 1_000, maxMs: 600_000 });
const low = integer({ name: 'LOW', doc: 'A number.', fallback: '1', min: 0, max: 9 });
const high = integer({ name: 'HIGH', doc: 'A number.', fallback: '2', min: 0, max: 9 });
const inOrder = {
  of: ['low', 'high'] as const,
  fault: (values: { low: number; high: number }) => (values.low > values.high ? 'LOW is above HIGH' : undefined),
};

const faultsOf = (env: Readonly<Record<string, string>>): readonly string[] => {
  try {
    readSettings({ lease, low, high }, env, [inOrder]);
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.faults;
  }
};

describe('Settings', () => {
  it('that are durations say their bounds as people write them', () => {
    assert.match(lease.form, /^a duration from 1s to 10m$/);
    assert.match(faultsOf({ LEASE: '11m' })[0] ?? '', /^LEASE="11m": not between 1s and 10m; write a duration from 1s to 10m/);
    assert.deepEqual(faultsOf({ LEASE: '10m' }), []);
  });

  it('are checked together, unless one of them has a fault of its own', () => {
    assert.deepEqual(faultsOf({ LOW: '3' }), ['LOW is above HIGH']);
    assert.deepEqual(faultsOf({ LOW: '3', LEASE: 'x' }).length, 2);
    assert.match(faultsOf({ LOW: '33' }).join('\n'), /^LOW="33": out of range/);
    assert.equal(faultsOf({ LOW: '33' }).length, 1);
  });

  it('that are secret are not the placeholders of examples, and are not shown', () => {
    const password = text({ name: 'PASSWORD', doc: 'A secret.', fallback: undefined, secret: true });
    const keys = list({ name: 'KEYS', doc: 'Secrets.', fallback: undefined, secret: true, pattern: /./, form: 'keys' });
    const open = text({ name: 'OPEN', doc: 'No secret.', fallback: undefined });
    const faults = (env: Readonly<Record<string, string>>): readonly string[] => {
      try {
        readSettings({ password, keys, open }, env);
        return [];
      } catch (error) {
        assert.ok(error instanceof SettingsError);
        return error.faults;
      }
    };
    for (const value of ['change-me', 'x://a:change-me@b/c', 'CHANGE_ME-internal-key', 'changeme'])
      assert.deepEqual(faults({ PASSWORD: value }), ['PASSWORD=(hidden): the placeholder of an example, which is no secret; write text']);
    assert.equal(faults({ KEYS: 'ops:good,dev:change-me-access-key' }).length, 1);
    assert.deepEqual(faults({ PASSWORD: 'exchange-media change-medium', KEYS: 'ops:good', OPEN: 'change-me' }), []);
  });
});
