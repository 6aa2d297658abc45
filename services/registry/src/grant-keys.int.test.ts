import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { fakeClock } from '@evenfall/time';
import { KEPT_MS, SIGNS_MS } from './domain/grant-key.ts';
import { startRegistry } from './service.ts';

const SEALING = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')] as const;

describe('keys of grants in the registry', () => {
  let db: TestDatabase;
  const clock = fakeClock();
  before(async () => void (db = await testDatabase()));
  after(() => db.drop());
  beforeEach(async () => {
    await db.sql`DROP SCHEMA IF EXISTS registry CASCADE`;
  });

  /** What a registry with these sealing keys answers, as text; `times` times. */
  const keysOf = async (sealingKeys: readonly string[] | undefined, times = 1): Promise<string[]> => {
    const running = await startRegistry({ sql: db.sql, log: silentLog, clock }, { sealingKeys });
    try {
      const client = inProcessClient(RegistryServiceService, running.registry);
      let keys: string[] = [];
      for (let i = 0; i < times; i++) keys = (await client.getGrantKeys({})).keys.map((key) => Buffer.from(key).toString('hex'));
      return keys;
    } finally {
      await running.stop();
    }
  };
  const stored = async (): Promise<string> => JSON.stringify(await db.sql`SELECT encode(secret, 'hex') AS secret FROM registry.grant_key`);

  it('outlive it, and are made anew every week, the newest first; those of two months ago go', async () => {
    const [first = '', ...none] = await keysOf([SEALING[0]], 3);
    assert.deepEqual([first.length, none], [64, []]);
    clock.advance(SIGNS_MS - 1);
    assert.deepEqual(await keysOf([SEALING[0]]), [first]);
    clock.advance(1);
    const [second = '', old] = await keysOf([SEALING[0]]);
    assert.notEqual(second, first);
    assert.equal(old, first);
    clock.advance(KEPT_MS - SIGNS_MS + 1);
    const [third = '', ...older] = await keysOf([SEALING[0]], 2);
    assert.ok(third !== second && third !== first);
    assert.deepEqual(older, [second]);
  });

  it('are sealed where there is a key for that, also those that were there before; another key makes others', async () => {
    const [plain = ''] = await keysOf(undefined);
    assert.ok((await stored()).includes(plain));
    assert.deepEqual(await keysOf([SEALING[0]]), [plain]);
    assert.ok(!(await stored()).includes(plain));
    assert.deepEqual(await keysOf([SEALING[1], SEALING[0]]), [plain], 'sealed anew');
    assert.deepEqual(await keysOf([SEALING[1]]), [plain]);
    const [other] = await keysOf([SEALING[0]]);
    assert.notEqual(other, plain);
  });
});
