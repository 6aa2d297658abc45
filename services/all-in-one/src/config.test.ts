import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SettingsError } from '@evenfall/config';
import { readConfig } from './config.ts';

describe('The settings of the all-in-one', () => {
  it('put the agent’s folder under the data folder, unless one is named', () => {
    assert.equal(readConfig({ EVENFALL_DATA_DIR: '/data' }).agent.dataDir, '/data/agent');
    assert.equal(readConfig({ EVENFALL_DATA_DIR: '/data', EVENFALL_AGENT_DATA_DIR: '/fast/agent' }).agent.dataDir, '/fast/agent');
  });

  it('list every fault at once, what they must be together among them', () => {
    const faultsOf = (env: Readonly<Record<string, string>>): readonly string[] => {
      try {
        readConfig(env);
        return [];
      } catch (error) {
        assert.ok(error instanceof SettingsError);
        return error.faults;
      }
    };
    const [port, open, ...none] = faultsOf({ EVENFALL_HOST: '0.0.0.0', EVENFALL_OPEN: 'yes', EVENFALL_HTTP_PORT: 'x' });
    assert.match(port ?? '', /^EVENFALL_HTTP_PORT="x"/);
    assert.match(open ?? '', /^EVENFALL_HOST="0\.0\.0\.0" with EVENFALL_OPEN="yes"/);
    assert.deepEqual(none, []);
    const [keys, ...more] = faultsOf({ EVENFALL_HOST: '0.0.0.0', EVENFALL_ACCESS_KEYS: 'short' });
    assert.match(keys ?? '', /^EVENFALL_ACCESS_KEYS=\(hidden\)/);
    assert.deepEqual(more, []);
    assert.deepEqual(faultsOf({ EVENFALL_HOST: '0.0.0.0', EVENFALL_ACCESS_KEYS: 'ops:correct-horse' }), []);
    assert.deepEqual(faultsOf({ EVENFALL_HOST: '0.0.0.0' }), [], 'a key is made');
    assert.deepEqual(faultsOf({ EVENFALL_OPEN: 'yes' }), [], 'on loopback');
    assert.match(faultsOf({ EVENFALL_OPEN: 'yes', EVENFALL_ACCESS_KEYS: 'ops:correct-horse' })[0] ?? '', /both set/);
    assert.match(faultsOf({ EVENFALL_OPEN: 'true' })[0] ?? '', /^EVENFALL_OPEN="true": none of these; write one of yes, no/);
    assert.match(faultsOf({ EVENFALL_HTTP_PORT: '9090' })[0] ?? '', /two of them are the same/);
    assert.deepEqual(faultsOf({ EVENFALL_HTTP_PORT: '0', EVENFALL_GRPC_PORT: '0' }), []);
  });
});
