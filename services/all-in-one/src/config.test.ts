import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from './config.ts';

describe('The settings of the all-in-one', () => {
  it('put the agent’s folder under the data folder, unless one is named', () => {
    assert.equal(readConfig({ EVENFALL_DATA_DIR: '/data' }).agentDataDir, '/data/agent');
    assert.equal(readConfig({ EVENFALL_DATA_DIR: '/data', EVENFALL_AGENT_DATA_DIR: '/fast/agent' }).agentDataDir, '/fast/agent');
  });
});
