import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { CreateFunctionRequest, FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { keyHeader } from '@evenfall/access';
import { KeyQuota, NamespaceQuota, QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { isRefusal } from '@evenfall/errors';
import { type ClientOf, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { eventually, testDatabase, type TestDatabase } from '@evenfall/testkit';
import { fakeClock } from '@evenfall/time';
import fc from 'fast-check';
import { quotaFault } from './domain/quota.ts';
import { type RunningRegistry, startRegistry } from './service.ts';
import { makeZip, pythonPackage } from './testing/zip-maker.ts';

const refusedAs = (reason: string) => (error: unknown) => isRefusal(error) && error.reason === reason;
/** A package of so many bytes, about, that no other has. */
const codeOf = (bytes: number): Buffer =>
  makeZip([
    { name: 'index.py', data: 'def main_handler(event, context):\n    return 1\n' },
    { name: 'data', data: randomBytes(bytes), method: 0 },
  ]);

describe('quotas in the registry', () => {
  let db: TestDatabase;
  const running: RunningRegistry[] = [];
  // Two registries on one database: what one counts the other must not add to behind its back.
  const functions: ClientOf<typeof FunctionServiceService>[] = [];
  const quotas: ClientOf<typeof QuotaServiceService>[] = [];
  let registry: ClientOf<typeof RegistryServiceService>;
  const clock = fakeClock();
  const at = <T>(all: readonly T[], n: number): T => all[n % all.length] as T; // there are some

  before(async () => {
    db = await testDatabase();
    for (let n = 0; n < 2; n++) {
      const one = await startRegistry({ sql: db.sql, log: silentLog, clock }, {});
      running.push(one);
      functions.push(inProcessClient(FunctionServiceService, one.functions));
      quotas.push(inProcessClient(QuotaServiceService, one.quotas));
    }
    registry = inProcessClient(RegistryServiceService, (running[0] as RunningRegistry).registry); // it was made just now
  });
  after(async () => {
    for (const one of running) await one.stop();
    await db.drop();
  });
  beforeEach(async () => {
    await db.sql`DELETE FROM registry.function_version`;
    await db.sql`DELETE FROM registry.code_package`;
    await db.sql`DELETE FROM registry.namespace_quota`;
    await db.sql`DELETE FROM registry.key_quota`;
  });

  const put = (quota: Partial<NamespaceQuota>) =>
    at(quotas, 0).putNamespaceQuota({ namespaceQuota: { ...NamespaceQuota.create(), namespace: 'team', ...quota } });
  const create = (name: string, { code = pythonPackage(), namespace = 'team', by = 0, key = '' } = {}) =>
    at(functions, by).createFunction(
      CreateFunctionRequest.create({ function: { namespace, name, runtime: 'python3', handler: 'index.main_handler' }, codeZip: code }),
      key === '' ? {} : { headers: keyHeader(key) },
    );
  const usage = async (namespace = 'team') => (await at(quotas, 0).getNamespaceQuota({ namespace })).usage;
  /** How many of some were let in; the others were all refused because of the quota. */
  const letIn = async (attempts: readonly Promise<unknown>[]): Promise<number> => {
    const all = await Promise.allSettled(attempts);
    for (const one of all) if (one.status === 'rejected') assert.ok(refusedAs('QUOTA_EXCEEDED')(one.reason), String(one.reason));
    return all.filter(({ status }) => status === 'fulfilled').length;
  };

  it('count functions exactly, however many are made at once', async () => {
    await put({ functions: 7 });
    assert.equal(await letIn(Array.from({ length: 40 }, (_, n) => create(`f${n}`, { by: n }))), 7);
    assert.equal((await usage())?.functions, 7);
    await assert.rejects(create('one-more'), (error) => {
      assert.ok(isRefusal(error));
      assert.deepEqual(error.metadata, {
        ...{ quota: 'functions', limit: '7', used: '7', wanted: '8' },
        ...{ scope: 'namespace', name: 'team', namespace: 'team' },
      });
      return error.status === 'RESOURCE_EXHAUSTED' && !error.retry;
    });
    await create('elsewhere', { namespace: 'others' });
    assert.equal((await usage('others'))?.functions, 1);
  });

  it('count versions of all functions exactly, however many are published at once', async () => {
    for (const name of ['f1', 'f2', 'f3']) await create(name);
    await put({ versions: 5 });
    const publish = (n: number) => at(functions, n).publishFunctionVersion({ namespace: 'team', name: `f${(n % 3) + 1}`, description: '' });
    assert.equal(await letIn(Array.from({ length: 18 }, (_, n) => publish(n))), 5);
    assert.equal((await usage())?.versions, 5);
  });

  it('count bytes of code exactly, each package once, whether it is made or replaced', async () => {
    const codes = Array.from({ length: 12 }, () => codeOf(20_000));
    const bytes = codes[0]?.length ?? 0;
    await put({ codeBytes: BigInt(bytes * 4) });
    assert.equal(await letIn(codes.map((code, n) => create(`f${n}`, { code, by: n }))), 4);
    assert.equal((await usage())?.codeBytes, BigInt(bytes * 4));
    const names = (await at(functions, 0).listFunctions({ namespace: 'team', filter: '', pageSize: 0, pageToken: '' })).functions;
    const [first] = names;
    const code = codes.at(Number(first?.name.slice(1)));
    assert.ok(first && code);
    await create('same', { code }); // it takes nothing
    const update = (name: string, codeZip: Buffer) => at(functions, 1).updateFunctionCode({ namespace: 'team', name, codeZip });
    // What it had stays in use by the other one, so that this adds to it.
    await assert.rejects(update('same', codeOf(20_000)), refusedAs('QUOTA_EXCEEDED'));
    await update('same', codes.at(Number(names[1]?.name.slice(1))) ?? code);
    await update(first.name, codeOf(19_000)); // less than it had
    await at(functions, 0).publishFunctionVersion({ namespace: 'team', name: first.name, description: '' });
    await assert.rejects(update(first.name, codeOf(19_000)), refusedAs('QUOTA_EXCEEDED'), 'the version keeps what it had');
  });

  it('count large packages too, and leave nothing of those that are refused', async () => {
    await put({ codeBytes: 3_000_000n });
    const large = Array.from({ length: 4 }, () => codeOf(1_400_000));
    assert.equal(await letIn(large.map((code, n) => create(`f${n}`, { code, by: n }))), 2);
    const [left] = await db.sql<{ packages: number; pieces: number }[]>`
      SELECT (SELECT count(*)::int FROM registry.code_package) AS packages, (SELECT count(*)::int FROM registry.code_piece) AS pieces`;
    assert.deepEqual({ ...left }, { packages: 2, pieces: 0 });
  });

  it('that are lower than what there is keep nothing from being made less, or changed', async () => {
    const code = codeOf(5_000);
    for (const name of ['f1', 'f2', 'f3']) await create(name, { code: name === 'f1' ? code : pythonPackage() });
    await put({ functions: 1, codeBytes: 10n, versions: 0 });
    await assert.rejects(create('f4'), refusedAs('QUOTA_EXCEEDED'));
    await at(functions, 0).updateFunctionCode({ namespace: 'team', name: 'f1', codeZip: codeOf(4_000) });
    await assert.rejects(create('f1'), refusedAs('FUNCTION_EXISTS'));
    await at(functions, 0).deleteFunction({ namespace: 'team', name: 'f2' });
    await at(functions, 0).deleteFunction({ namespace: 'team', name: 'f3' });
    assert.equal((await usage())?.functions, 1);
  });

  it('hold from the moment they are set, whatever is under way', async () => {
    for (let round = 0; round < 5; round++) {
      await at(quotas, 0).deleteNamespaceQuota({ namespace: 'team' });
      await db.sql`DELETE FROM registry.function_version`;
      const under = Array.from({ length: 10 }, (_, n) => create(`f${n}`, { by: n }));
      await put({ functions: 3 });
      const after = Array.from({ length: 10 }, (_, n) => create(`g${n}`, { by: n }));
      await letIn([...under, ...after]);
      const before = under.length;
      const made = (await usage())?.functions ?? 0;
      assert.ok(made >= 3 && made <= before, `${made}`);
      await assert.rejects(create('late'), refusedAs('QUOTA_EXCEEDED'));
    }
  });

  it('have a default for namespaces and keys without one', async () => {
    await put({ namespace: '*', functions: 1 });
    await create('f1');
    await assert.rejects(create('f2'), refusedAs('QUOTA_EXCEEDED'));
    const asked = await at(quotas, 1).getNamespaceQuota({ namespace: 'team' });
    assert.deepEqual([asked.isDefault, asked.namespaceQuota?.namespace, asked.namespaceQuota?.functions], [true, 'team', 1]);
    await put({ queuedEvents: 5n }); // one of its own, without that limit
    await create('f2');
    await at(quotas, 0).deleteNamespaceQuota({ namespace: 'team' });
    await at(quotas, 0).deleteNamespaceQuota({ namespace: 'team' });
    await assert.rejects(create('f3'), refusedAs('QUOTA_EXCEEDED'));
    const rate = { eventsPerSecond: 5, burst: undefined };
    await at(quotas, 0).putKeyQuota({ keyQuota: { ...KeyQuota.create(), keyId: '*', rate } });
    assert.deepEqual((await at(quotas, 0).getKeyQuota({ keyId: 'ci' })).keyQuota?.rate, rate);
  });

  it('refuse what cannot be a quota', async () => {
    const fields: readonly [Partial<NamespaceQuota>, string][] = [
      [{ namespace: '' }, 'INVALID_NAME'],
      [{ namespace: '**' }, 'INVALID_NAME'],
      [{ functions: -1 }, 'INVALID_FIELD'],
      [{ queuedEvents: -1n }, 'INVALID_FIELD'],
      [{ codeBytes: 2n ** 60n }, 'INVALID_FIELD'],
      [{ instances: 2_000_000_000 }, 'INVALID_FIELD'],
      [{ rate: { eventsPerSecond: -1, burst: undefined } }, 'INVALID_FIELD'],
      [{ rate: { eventsPerSecond: 1, burst: 0 } }, 'INVALID_FIELD'],
    ];
    for (const [quota, reason] of fields)
      await assert.rejects(
        put(quota),
        refusedAs(reason),
        JSON.stringify(quota, (_, v: unknown) => String(v)),
      );
    await assert.rejects(at(quotas, 0).putKeyQuota({ keyQuota: { ...KeyQuota.create(), keyId: 'a b' } }), refusedAs('INVALID_FIELD'));
    await assert.rejects(at(quotas, 0).getKeyQuota({ keyId: '' }), refusedAs('INVALID_FIELD'));
  });

  it('are listed page by page, and sent to watchers, whichever registry changes them', async () => {
    for (const namespace of ['team-b', 'team-a', '*']) await put({ namespace, functions: 1 });
    await at(quotas, 0).putKeyQuota({ keyQuota: { ...KeyQuota.create(), keyId: 'ci' } });
    const seen: string[] = [];
    for (let pageToken = '', more = true; more;) {
      const page = await at(quotas, 0).listNamespaceQuotas({ pageSize: 1, pageToken });
      seen.push(...page.namespaceQuotas.map(({ namespace }) => namespace));
      pageToken = page.nextPageToken;
      more = pageToken !== '';
    }
    assert.deepEqual(seen, ['*', 'team-a', 'team-b']);
    const known = new Map<string, Date | undefined>();
    const end = new AbortController();
    let isComplete = false;
    const over = (async () => {
      for await (const output of registry.watchQuotas({}, { signal: end.signal })) {
        for (const one of output.namespaceQuotas) known.set(one.namespace, one.updateTime);
        for (const one of output.keyQuotas) known.set(`key ${one.keyId}`, one.updateTime);
        isComplete ||= output.isComplete;
      }
    })();
    await eventually(() => isComplete);
    assert.deepEqual([...known.keys()].sort(), ['*', 'key ci', 'team-a', 'team-b']);
    await at(quotas, 1).deleteNamespaceQuota({ namespace: 'team-a' });
    await at(quotas, 1).putKeyQuota({ keyQuota: { ...KeyQuota.create(), keyId: 'new' } });
    await eventually(() => known.get('key new') !== undefined && known.get('team-a') === undefined);
    end.abort();
    await assert.rejects(over, refusedAs('CANCELLED'));
  });

  it('of instances are returned with the concurrency, and only where there are some', async () => {
    await put({ functions: 1 });
    assert.deepEqual((await registry.getConcurrency({})).instanceQuotas, []);
    await put({ namespace: 'small', instances: 2 });
    assert.deepEqual((await registry.getConcurrency({})).instanceQuotas, [{ namespace: 'small', instances: 2 }]);
    await put({ namespace: '*', instances: 4 });
    const seen = (await registry.getConcurrency({})).instanceQuotas.toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1));
    // One of its own without that limit keeps the default from it.
    assert.deepEqual(seen, [
      { namespace: '*', instances: 4 },
      { namespace: 'small', instances: 2 },
      { namespace: 'team', instances: undefined },
    ]);
  });
});

describe('quotas of keys in the registry', () => {
  let db: TestDatabase;
  let running: RunningRegistry;
  let functions: ClientOf<typeof FunctionServiceService>;
  let quotas: ClientOf<typeof QuotaServiceService>;
  const named = (name: string, namespace = 'team') => ({ namespace, name });
  const as = (key: string) => ({ headers: keyHeader(key) });

  before(async () => {
    db = await testDatabase();
    running = await startRegistry({ sql: db.sql, log: silentLog, clock: fakeClock() }, {});
    functions = inProcessClient(FunctionServiceService, running.functions);
    quotas = inProcessClient(QuotaServiceService, running.quotas);
  });
  after(async () => {
    await running.stop();
    await db.drop();
  });
  beforeEach(async () => {
    await db.sql`DELETE FROM registry.function_version`;
    await db.sql`DELETE FROM registry.code_package`;
    await db.sql`DELETE FROM registry.namespace_quota`;
    await db.sql`DELETE FROM registry.key_quota`;
  });
  const create = (name: string, key: string, { namespace = 'team', code = pythonPackage() } = {}) =>
    functions.createFunction(
      CreateFunctionRequest.create({ function: { namespace, name, runtime: 'python3', handler: 'index.main_handler' }, codeZip: code }),
      key === '' ? {} : as(key),
    );
  const put = (keyId: string, quota: Partial<KeyQuota>) => quotas.putKeyQuota({ keyQuota: { ...KeyQuota.create(), keyId, ...quota } });
  const usage = async (keyId: string) => (await quotas.getKeyQuota({ keyId })).usage;
  const update = (name: string, key: string, codeZip: Buffer) => functions.updateFunctionCode({ ...named(name), codeZip }, as(key));

  it('count functions exactly over all namespaces, however many are made at once, and those of no other key', async () => {
    await put('ci', { functions: 5 });
    const all = await Promise.allSettled(
      Array.from({ length: 30 }, (_, n) => create(`f${n}`, 'ci', { namespace: n % 2 === 0 ? 'team' : 'others' })),
    );
    assert.equal(all.filter(({ status }) => status === 'fulfilled').length, 5);
    await assert.rejects(create('more', 'ci'), (error) => {
      assert.ok(isRefusal(error));
      assert.deepEqual(
        { ...error.metadata },
        { quota: 'functions', limit: '5', used: '5', wanted: '6', scope: 'key', name: 'ci', namespace: 'team' },
      );
      return error.reason === 'QUOTA_EXCEEDED' && /^The key "ci" has 5 functions/.test(error.message);
    });
    await create('of-another', 'app');
    await create('of-none', '');
    assert.deepEqual([(await usage('ci'))?.functions, (await usage('app'))?.functions], [5, 1]);
  });

  it('count what is still there, whichever key deletes or changes it', async () => {
    await put('ci', { functions: 1, versions: 1 });
    await create('ff', 'ci');
    await functions.publishFunctionVersion({ ...named('ff'), description: '' }, as('ci'));
    await update('ff', 'app', codeOf(10));
    await assert.rejects(functions.publishFunctionVersion({ ...named('ff'), description: '' }, as('ci')), refusedAs('QUOTA_EXCEEDED'));
    await functions.publishFunctionVersion({ ...named('ff'), description: '' }, as('app'));
    assert.deepEqual([(await usage('ci'))?.versions, (await usage('app'))?.versions], [1, 1]);
    await functions.deleteFunction(named('ff'), as('app'));
    assert.deepEqual(await usage('ci'), { functions: 0, versions: 0, codeBytes: 0n });
    await create('gg', 'ci');
  });

  it('count bytes for the key that uploaded them, each package once, for as long as something names it', async () => {
    const [first, second] = [codeOf(20_000), codeOf(20_000)];
    await put('ci', { codeBytes: BigInt(first.length) });
    await create('ff', 'ci', { code: first });
    await create('same', 'ci', { code: first }); // it takes nothing
    await assert.rejects(update('ff', 'ci', second), refusedAs('QUOTA_EXCEEDED'), '"same" keeps the first');
    await functions.publishFunctionVersion({ ...named('ff'), description: '' }, as('app'));
    await update('ff', 'app', second);
    await update('same', 'app', second);
    assert.deepEqual([(await usage('ci'))?.codeBytes, (await usage('app'))?.codeBytes], [BigInt(first.length), BigInt(second.length)]);
    await functions.updateFunction(
      { function: { ...FunctionMessage.create(), ...named('ff'), description: 'new' }, updateMask: ['description'] },
      as('ci'),
    );
    assert.equal((await usage('app'))?.codeBytes, BigInt(second.length), 'a change of settings moves no code to another key');
    await functions.deleteFunction(named('ff'), as('app'));
    assert.equal((await usage('ci'))?.codeBytes, 0n);
    await update('same', 'ci', codeOf(19_000));
  });

  it('hold beside those of the namespace, whichever is smaller, and never wait for each other', async () => {
    await quotas.putNamespaceQuota({ namespaceQuota: { ...NamespaceQuota.create(), namespace: 'team', functions: 8 } });
    await put('ci', { functions: 6 });
    await put('app', { functions: 6 });
    const all = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => create(`f${n}`, n % 2 === 0 ? 'ci' : 'app')));
    for (const one of all) if (one.status === 'rejected') assert.ok(refusedAs('QUOTA_EXCEEDED')(one.reason), String(one.reason));
    const [ci = 0, app = 0] = [(await usage('ci'))?.functions, (await usage('app'))?.functions];
    assert.equal(ci + app, 8);
    assert.ok(ci <= 6 && app <= 6);
  });

  it('have a default, which holds for subjects of tokens each by itself', async () => {
    await put('*', { functions: 1 });
    for (const subject of ['oidc:alice', 'oidc:bob', 'oidc:Zoë / team', 'ci']) {
      await create(`f${subject.length}`, subject);
      await assert.rejects(create('more', subject), refusedAs('QUOTA_EXCEEDED'), subject);
    }
    await put('ci', {});
    await create('more', 'ci');
  });

  it('refuse a limit of instances, with the reason', async () => {
    await assert.rejects(put('ci', { instances: 1 }), (error) => {
      assert.ok(isRefusal(error));
      return error.reason === 'INVALID_FIELD' && /instances.*of the namespace/.test(error.message);
    });
    for (const fault of [{ functions: -1 }, { versions: -1 }, { queuedEvents: -1n }, { codeBytes: -1n }])
      await assert.rejects(put('ci', fault), refusedAs('INVALID_FIELD'));
  });
});

describe('a quota', () => {
  it('lets nothing grow beyond its limits, and keeps nothing from shrinking', () => {
    const count = fc.nat(20);
    const use = fc.record({ functions: count, versions: count, codeBytes: count.map(BigInt) });
    const limits = fc.record({
      functions: fc.option(count, { nil: undefined }),
      versions: fc.option(count, { nil: undefined }),
      codeBytes: fc.option(count.map(BigInt), { nil: undefined }),
    });
    fc.assert(
      fc.property(limits, use, use, (limit, before, after) => {
        const grows = (name: 'functions' | 'versions' | 'codeBytes'): boolean => {
          const most = limit[name];
          return most !== undefined && after[name] > most && after[name] > before[name];
        };
        const isRefused = quotaFault({ ...NamespaceQuota.create(), ...limit }, before, after) !== undefined;
        assert.equal(isRefused, grows('functions') || grows('versions') || grows('codeBytes'));
      }),
    );
  });
});
