import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type StoredAccessKey, RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import {
  AccessKey_Role,
  AccessKeyServiceService,
  CreateAccessKeyRequest,
  ListAccessKeysRequest,
} from '@evenfall/contracts/v1/access_key_service';
import { AuditRecord, AuditRecord_Api, ListAuditRecordsRequest } from '@evenfall/contracts/v1/audit_service';
import { isRefusal } from '@evenfall/errors';
import { type ClientOf, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { eventually, testDatabase, type TestDatabase } from '@evenfall/testkit';
import { durationOfMs, fakeClock, newUuidV7 } from '@evenfall/time';
import { createSealing } from './domain/sealing.ts';
import { type RunningRegistry, startRegistry } from './service.ts';

const SEALING = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')] as const;
const DAY_MS = 24 * 3_600_000;
/** Waits until none of the assertions throws. */
const within = (claim: () => unknown): Promise<true> =>
  eventually(async () => {
    await claim();
    return true;
  });

describe('access keys in the registry', () => {
  let db: TestDatabase;
  let running: RunningRegistry;
  let other: RunningRegistry;
  let keys: ClientOf<typeof AccessKeyServiceService>;
  let elsewhere: ClientOf<typeof AccessKeyServiceService>;
  let registry: ClientOf<typeof RegistryServiceService>;
  const clock = fakeClock();

  before(async () => {
    db = await testDatabase();
    running = await startRegistry({ sql: db.sql, log: silentLog, clock }, { sealingKeys: [SEALING[0]] });
    other = await startRegistry({ sql: db.sql, log: silentLog, clock }, {});
    keys = inProcessClient(AccessKeyServiceService, running.accessKeys);
    elsewhere = inProcessClient(AccessKeyServiceService, other.accessKeys);
    registry = inProcessClient(RegistryServiceService, running.registry);
  });
  after(async () => {
    await running.stop();
    await other.stop();
    await db.drop();
  });
  beforeEach(async () => {
    await db.sql`DELETE FROM registry.access_key`;
    await db.sql`DELETE FROM registry.audit_record`;
  });

  const create = (wanted: Parameters<typeof CreateAccessKeyRequest.create>[0] = {}) =>
    keys.createAccessKey(CreateAccessKeyRequest.create({ role: AccessKey_Role.INVOKER, namespaces: ['default'], ...wanted }));
  const refusedAs = (reason: string) => (error: unknown) => isRefusal(error) && error.reason === reason;
  const storedText = async (): Promise<string> => JSON.stringify(await db.sql`SELECT * FROM registry.access_key`);
  /** Follows a watch; `known` is what a gateway would know. */
  const follow = (client: ClientOf<typeof RegistryServiceService>) => {
    const known = new Map<string, StoredAccessKey>();
    const end = new AbortController();
    const state = { known, isComplete: false, end: () => end.abort(), over: Promise.resolve() };
    state.over = (async () => {
      for await (const output of client.watchAccessKeys({}, { signal: end.signal })) {
        for (const kept of output.keys) known.set(kept.accessKey?.id ?? '', kept);
        if (output.isComplete) state.isComplete = true;
      }
    })();
    return state;
  };

  it('shows a secret once, and keeps no more than a digest of it', async () => {
    const { accessKey, secret } = await create({ id: 'ci', description: 'the pipeline', namespaces: ['team-b', 'team-a', 'team-b'] });
    assert.match(secret, /^[\w-]{43}$/);
    assert.deepEqual(accessKey?.namespaces, ['team-a', 'team-b']);
    assert.ok(!(await storedText()).includes(secret));
    assert.ok(!(await storedText()).includes(Buffer.from(secret).toString('hex')));
    assert.deepEqual((await keys.getAccessKey({ id: 'ci' })).accessKey, accessKey);
    await assert.rejects(create({ id: 'ci' }), refusedAs('ACCESS_KEY_EXISTS'));
  });

  it('keeps a secret that signs sealed, and sends it to gateways alone', async () => {
    const { secret } = await create({ id: 'sdk', scf: true });
    const [row] = await db.sql<{ sealed: Buffer }[]>`SELECT sealed FROM registry.access_key`;
    assert.ok(row && !row.sealed.includes(secret));
    assert.equal(createSealing(SEALING)?.open(row.sealed, 'sdk'), secret);
    assert.equal(createSealing(SEALING)?.open(row.sealed, 'another'), undefined);
    assert.equal(createSealing([SEALING[1]])?.open(row.sealed, 'sdk'), undefined);
    const watch = follow(registry);
    await within(() => assert.equal(watch.known.get('sdk')?.scfSecret, secret));
    watch.end();
    await assert.rejects(watch.over, refusedAs('CANCELLED'));
    await assert.rejects(
      elsewhere.createAccessKey(CreateAccessKeyRequest.create({ role: AccessKey_Role.INVOKER, namespaces: ['*'], scf: true })),
      refusedAs('SEALING_KEY_MISSING'),
    );
  });

  it('seals anew with a new sealing key, after which the old one is not needed', async () => {
    const { secret } = await create({ id: 'sdk', scf: true });
    const turned = await startRegistry({ sql: db.sql, log: silentLog, clock }, { sealingKeys: [SEALING[1], SEALING[0]] });
    await turned.stop();
    const [row] = await db.sql<{ sealed: Buffer }[]>`SELECT sealed FROM registry.access_key`;
    assert.equal(row && createSealing([SEALING[1]])?.open(row.sealed, 'sdk'), secret);
  });

  it('sends all keys, and every change, of any registry', async () => {
    await create({ id: 'first' });
    const watch = follow(registry);
    await within(() => assert.ok(watch.isComplete && watch.known.has('first')));
    const made = await elsewhere.createAccessKey(
      CreateAccessKeyRequest.create({ id: 'second', role: AccessKey_Role.VIEWER, namespaces: ['*'] }),
    );
    await within(() => assert.deepEqual(watch.known.get('second')?.secretSha256, createHash('sha256').update(made.secret).digest()));
    await elsewhere.revokeAccessKey({ id: 'first' });
    await within(() => assert.ok(watch.known.get('first')?.accessKey?.revokeTime));
    assert.equal(watch.known.get('first')?.secretSha256.length, 0);
    watch.end();
    await assert.rejects(watch.over, refusedAs('CANCELLED'));
  });

  it('rotates, with the secret before good for a while if that is asked for', async () => {
    const first = await create({ id: 'turns' });
    const second = await keys.rotateAccessKey({ id: 'turns', overlap: durationOfMs(60_000) });
    assert.notEqual(second.secret, first.secret);
    const watch = follow(registry);
    await within(() => assert.ok(watch.isComplete));
    assert.deepEqual(watch.known.get('turns')?.previousSha256, createHash('sha256').update(first.secret).digest());
    watch.end();
    await assert.rejects(watch.over, refusedAs('CANCELLED'));
    const third = await keys.rotateAccessKey({ id: 'turns', overlap: undefined });
    assert.equal(third.accessKey?.previousSecretExpireTime, undefined);
    await keys.revokeAccessKey({ id: 'turns' });
    assert.ok((await keys.revokeAccessKey({ id: 'turns' })).accessKey?.revokeTime); // again changes nothing
    await assert.rejects(keys.rotateAccessKey({ id: 'turns', overlap: undefined }), refusedAs('ACCESS_KEY_REVOKED'));
    await assert.rejects(keys.rotateAccessKey({ id: 'none', overlap: undefined }), refusedAs('ACCESS_KEY_NOT_FOUND'));
  });

  it('lists by id, page by page', async () => {
    for (const id of ['c', 'a', 'b']) await create({ id });
    const first = await keys.listAccessKeys(ListAccessKeysRequest.create({ pageSize: 2 }));
    const second = await keys.listAccessKeys(ListAccessKeysRequest.create({ pageSize: 2, pageToken: first.nextPageToken }));
    assert.deepEqual(
      [...first.accessKeys, ...second.accessKeys].map(({ id }) => id),
      ['a', 'b', 'c'],
    );
    assert.equal(second.nextPageToken, '');
  });

  it('refuses what makes no key', async () => {
    for (const wrong of [
      { id: 'a:b' },
      { id: 'anonymous' },
      { id: 'x'.repeat(65) },
      { role: AccessKey_Role.UNSPECIFIED },
      { role: 99 as AccessKey_Role },
      { namespaces: [] },
      { namespaces: ['*', 'default'] },
      { namespaces: Array.from({ length: 101 }, (_, i) => `n${i}a`) },
      { showPayloads: true },
      { description: 'x'.repeat(257) },
      { description: '\0' },
      { timeToLive: durationOfMs(1) },
    ])
      await assert.rejects(
        create(wrong),
        refusedAs('INVALID_FIELD'),
        JSON.stringify(wrong, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)),
      );
    await assert.rejects(create({ namespaces: ['a b'] }), refusedAs('INVALID_NAME'));
  });

  describe('the audit log', () => {
    const record = (more: Partial<AuditRecord> = {}): AuditRecord => {
      const time = new Date(clock.now());
      const base = {
        id: newUuidV7(clock.now()),
        time,
        keyId: 'ops',
        api: AuditRecord_Api.REST,
        action: 'functions.write',
        namespace: 'a',
      };
      return { ...AuditRecord.create(), ...base, operation: 'createFunction', subject: 'killer', outcome: 'OK', ...more };
    };
    const list = async (query: Partial<ListAuditRecordsRequest> = {}, namespaces = ['*']) =>
      registry.listAudit({ query: { ...ListAuditRecordsRequest.create(), ...query }, namespaces });

    it('keeps records once, and lists them newest first, filtered and paged', async () => {
      const records = Array.from({ length: 5 }, (_, i) =>
        record({ subject: `f${i}`, namespace: i % 2 === 0 ? 'a' : 'b', keyId: i < 2 ? 'ops' : 'ci' }),
      );
      await registry.recordAudit({ records });
      await registry.recordAudit({ records: records.slice(1) });
      const subjects = async (...asked: Parameters<typeof list>) => (await list(...asked)).auditRecords.map(({ subject }) => subject);
      assert.deepEqual(await subjects(), ['f4', 'f3', 'f2', 'f1', 'f0']);
      assert.deepEqual(await subjects({ keyId: 'ops' }), ['f1', 'f0']);
      assert.deepEqual(await subjects({ namespace: 'b' }), ['f3', 'f1']);
      assert.deepEqual(await subjects({ subject: 'f2' }), ['f2']);
      assert.deepEqual(await subjects({}, ['b']), ['f3', 'f1']);
      assert.deepEqual(await subjects({ namespace: 'a' }, ['b']), []);
      assert.deepEqual(await subjects({ startTime: new Date(clock.now() + 1_000) }), []);
      assert.deepEqual(await subjects({ endTime: new Date(clock.now()) }), []);
      const first = await list({ pageSize: 3 });
      const second = await list({ pageSize: 3, pageToken: first.nextPageToken });
      assert.deepEqual(
        [...first.auditRecords, ...second.auditRecords].map(({ subject }) => subject),
        ['f4', 'f3', 'f2', 'f1', 'f0'],
      );
      assert.deepEqual(first.auditRecords[0], records[4]);
      await assert.rejects(list({ pageSize: 3, pageToken: first.nextPageToken, keyId: 'ops' }), refusedAs('INVALID_PAGE_TOKEN'));
    });

    it('has one record of each id, which says the most that was said, in whatever order and how often', async () => {
      const begun = record({ outcome: 'BEGUN', subject: '' });
      const failed = { ...begun, outcome: 'DEADLINE_EXCEEDED', subject: 'killer' };
      const done = { ...failed, outcome: 'OK' };
      const output = [begun, failed, done];
      const orders: (readonly number[])[] = [
        [0],
        [1],
        [2],
        [0, 1],
        [1, 0],
        [0, 2],
        [2, 0],
        [1, 2],
        [2, 1],
        [0, 1, 2],
        [2, 1, 0],
        [1, 2, 0],
        [2, 0, 2, 1],
      ];
      for (const isOneBatch of [true, false]) {
        for (const order of orders) {
          await db.sql`DELETE FROM registry.audit_record`;
          const records = order.flatMap((index) => output[index] ?? []);
          for (const batch of isOneBatch ? [records] : records.map((one) => [one])) await registry.recordAudit({ records: batch });
          const { auditRecords } = await list();
          assert.deepEqual(auditRecords, [output[Math.max(...order)]], `${order.join()} ${isOneBatch}`);
        }
      }
      assert.equal((await list({ subject: 'killer' })).auditRecords.length, 1, 'it is found by what it says in the end');
    });

    it('drops what is past its retention, and keys that ended before that', async () => {
      const far = fakeClock(clock.now() + 91 * DAY_MS);
      await registry.recordAudit({ records: [record({ subject: 'old' })] });
      const recent = new Date(far.now() - 1_000);
      await registry.recordAudit({ records: [record({ id: newUuidV7(recent.getTime()), subject: 'new' })] });
      await create({ id: 'old', timeToLive: durationOfMs(1_000) });
      await create({ id: 'stays' });
      const later = await startRegistry({ sql: db.sql, log: silentLog, clock: far }, { sealingKeys: [SEALING[0]] });
      await within(async () =>
        assert.deepEqual(
          (await list()).auditRecords.map(({ subject }) => subject),
          ['new'],
        ),
      );
      await within(async () =>
        assert.deepEqual(
          (await keys.listAccessKeys(ListAccessKeysRequest.create())).accessKeys.map(({ id }) => id),
          ['stays'],
        ),
      );
      await later.stop();
    });
  });
});
