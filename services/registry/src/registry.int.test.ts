import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type GetCodePackageRequest, RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { CreateFunctionRequest, FunctionServiceService, ListFunctionsResponse } from '@evenfall/contracts/v1/function_service';
import { isRefusal } from '@evenfall/errors';
import { createGrants, type Granted, grantedPackage } from '@evenfall/grants';
import { type ClientOf, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { durationOfMs, fakeClock } from '@evenfall/time';
import { eventually, testDatabase, type TestDatabase } from '@evenfall/testkit';
import { type RunningRegistry, startRegistry } from './service.ts';
import { pythonPackage } from './testing/zip-maker.ts';

type Base = Parameters<typeof CreateFunctionRequest.create>[0];
const VALID = { namespace: 'default', name: 'killer', runtime: 'python3', handler: 'index.main_handler' };
const NAME = { namespace: 'default', name: 'killer' };

describe('the registry', () => {
  let db: TestDatabase;
  let running: RunningRegistry;
  let other: RunningRegistry;
  let functions: ClientOf<typeof FunctionServiceService>;
  let registry: ClientOf<typeof RegistryServiceService>;
  const clock = fakeClock();

  before(async () => {
    db = await testDatabase();
    running = await startRegistry({ sql: db.sql, log: silentLog, clock }, {});
    other = await startRegistry({ sql: db.sql, log: silentLog, clock }, {});
    functions = inProcessClient(FunctionServiceService, running.functions);
    registry = inProcessClient(RegistryServiceService, running.registry);
  });
  after(async () => {
    await running.stop();
    await other.stop();
    await db.drop();
  });
  beforeEach(async () => {
    await db.sql`DELETE FROM registry.function_version`;
    await db.sql`DELETE FROM registry.code_package`;
  });

  const create = (fn: Partial<NonNullable<Base>['function']> = {}, codeZip: Buffer = pythonPackage()) =>
    functions.createFunction(CreateFunctionRequest.create({ function: { ...VALID, ...fn }, codeZip }));
  const signed = async (given: readonly Granted[]): Promise<Buffer[]> => {
    const grants = createGrants();
    grants.use((await registry.getGrantKeys({})).keys);
    return given.map((granted) => grants.sign(granted, 'agent-1', clock.now()).bytes);
  };
  const asked = async (codeSha256: string): Promise<GetCodePackageRequest> => {
    const [grant = Buffer.alloc(0)] = await signed([grantedPackage('i-1', codeSha256)]);
    return { codeSha256, agentId: 'agent-1', instanceId: 'i-1', grant };
  };
  const whyNoCode = async (request: GetCodePackageRequest, client = registry): Promise<string> => {
    try {
      for await (const { data } of client.getCodePackage(request)) assert.ok(data.length > 0);
      return '';
    } catch (error) {
      return isRefusal(error) ? error.reason : String(error);
    }
  };
  const rows = async (): Promise<[number, number]> => {
    const [count] = await db.sql<
      { f: bigint; c: bigint }[]
    >`SELECT (SELECT count(*) FROM registry.function_version) f, (SELECT count(*) FROM registry.code_package) c`;
    return [Number(count?.f), Number(count?.c)];
  };

  it('lists functions and versions of any size in answers that fit, each once', async () => {
    const description = 'd'.repeat(90_000); // larger than one can be made now
    const data = Buffer.from(FunctionMessage.encode(FunctionMessage.create({ ...VALID, description })).finish());
    for (let n = 1; n <= 150; n++) {
      const named = Buffer.from(FunctionMessage.encode(FunctionMessage.create({ ...VALID, name: `f${n}`, description })).finish());
      await db.sql`INSERT INTO registry.function_version (namespace, name, version, revision, data) VALUES
        ('default', ${`f${n}`}, 0, ${n}, ${named}), ('default', 'killer', ${n - 1}, ${n}, ${data})`;
    }
    const limit = 4 * 1024 * 1024;
    const walk = async (list: (pageToken: string) => Promise<ListFunctionsResponse>): Promise<string[]> => {
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await list(pageToken);
        assert.ok(ListFunctionsResponse.encode(page).finish().length < limit);
        seen.push(...page.functions.map(({ name, version }) => `${name} ${version}`));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      return seen;
    };
    for (const pageSize of [0, 7, 100]) {
      const all = await walk((pageToken) => functions.listFunctions({ namespace: 'default', pageSize, pageToken, filter: '' }));
      assert.deepEqual([all.length, new Set(all).size], [151, 151]);
      const versions = await walk((pageToken) => functions.listFunctionVersions({ ...NAME, pageSize, pageToken }));
      assert.deepEqual(
        versions,
        Array.from({ length: 149 }, (_, n) => `killer ${149 - n}`),
      );
    }
  });

  it('gives a function a uid of its own, which stays with its changes and versions and not with its name', async () => {
    const uid = (await create()).function?.uid ?? '';
    assert.match(uid, /^[0-9a-f-]{36}$/);
    const updated = await functions.updateFunction({
      function: FunctionMessage.create({ ...NAME, uid: 'mine', memoryMb: 256 }),
      updateMask: ['memory_mb'],
    });
    const published = await functions.publishFunctionVersion({ ...NAME, description: '' });
    assert.deepEqual([updated.function?.uid, published.function?.uid], [uid, uid]);
    assert.equal((await registry.resolveFunction({ ...NAME, qualifier: '1' })).function?.uid, uid);
    await functions.deleteFunction(NAME);
    const other = (await create({ uid })).function;
    assert.ok(other && other.uid !== uid && other.uid !== '');
  });

  it('shows the secret of a webhook to the other services alone', async () => {
    const secret = 'a secret of enough characters';
    const target = { $case: 'webhook', value: { url: 'https://example.com/', secret, secretSet: false } } as const;
    const { function: fn } = await create({ name: 'hooked', eventInvoke: { onFailure: { target } } });
    const shown = { $case: 'webhook', value: { url: 'https://example.com/', secret: '', secretSet: true } };
    const named = { namespace: 'default', name: 'hooked', qualifier: '' };
    assert.deepEqual(fn?.eventInvoke?.onFailure?.target, shown);
    assert.deepEqual((await functions.getFunction(named)).function?.eventInvoke?.onFailure?.target, shown);
    assert.deepEqual((await registry.resolveFunction(named)).function?.eventInvoke?.onFailure?.target, {
      ...target,
      value: { ...target.value, sealedSecret: undefined }, // nothing to seal it with here
    });
    const listed = await functions.listFunctions({ namespace: 'default', pageSize: 0, pageToken: '', filter: 'hooked' });
    assert.ok(!JSON.stringify(listed, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)).includes(secret));
    await functions.deleteFunction(named);
  });

  it('keeps policies for stops that no caller requests, and lets an update remove them', async () => {
    const { function: fn } = await create({
      terminationByCause: { timeout: { gracePeriod: { seconds: 1n } }, drain: { gracePeriod: { seconds: 3_600n } } },
    });
    assert.equal(fn?.terminationByCause?.timeout?.killSignal, 15);
    assert.deepEqual(fn?.terminationByCause?.drain?.maxGracePeriod, durationOfMs(3_600_000), 'wide enough for what is wanted');
    assert.equal(fn?.terminationByCause?.update, undefined);
    assert.deepEqual((await functions.getFunction({ ...NAME, qualifier: '' })).function, fn);
    const shorter = { function: FunctionMessage.create({ ...NAME, timeout: { seconds: 1n } }), updateMask: ['timeout'] };
    await assert.rejects(functions.updateFunction(shorter), { reason: 'INVALID_FIELD' }, 'the warning would come before the start');
    const without = { function: FunctionMessage.create(NAME), updateMask: ['termination_by_cause'] };
    assert.equal((await functions.updateFunction(without)).function?.terminationByCause, undefined);
  });

  it('creates with every default filled in, gets and resolves', async () => {
    const { function: fn } = await create();
    assert.equal(fn?.version, '$LATEST');
    assert.equal(fn?.memoryMb, 128);
    assert.deepEqual([fn?.tmpMb, fn?.maxProcesses], [512, 256]);
    assert.deepEqual(fn?.timeout, durationOfMs(3_000));
    const { onSuccess, onFailure, ...eventInvoke } = fn?.eventInvoke ?? {};
    assert.deepEqual(eventInvoke, { maxRetries: 2, retryInterval: durationOfMs(60_000), maxEventAge: durationOfMs(21_600_000) });
    assert.deepEqual([onSuccess, onFailure], [undefined, undefined]);
    assert.equal(fn?.termination?.killSignal, 15);
    assert.equal(fn?.termination?.gracePeriod, undefined);
    assert.deepEqual(fn?.createTime, new Date(clock.now()));
    assert.deepEqual((await functions.getFunction({ ...NAME, qualifier: '' })).function, fn);
    assert.deepEqual((await registry.resolveFunction({ ...NAME, qualifier: '$DEFAULT' })).function, fn);
    await assert.rejects(registry.resolveFunction({ ...NAME, qualifier: '1' }), { reason: 'QUALIFIER_NOT_FOUND' });
    await assert.rejects(registry.resolveFunction({ ...NAME, qualifier: 'prod' }), { reason: 'QUALIFIER_NOT_FOUND' });
    await assert.rejects(registry.resolveFunction({ ...NAME, name: 'unknown', qualifier: '' }), { reason: 'FUNCTION_NOT_FOUND' });
    await assert.rejects(create(), { reason: 'FUNCTION_EXISTS' });
  });

  it('hands out code piece by piece', async () => {
    const zip = pythonPackage(`# ${Array.from({ length: 200_000 }, () => Math.random()).join('')}`);
    assert.ok(zip.length > 1024 * 1024);
    const { function: fn } = await create({}, Buffer.from(zip)); // which is the registry's from then on
    const pieces: Buffer[] = [];
    for await (const { data } of registry.getCodePackage(await asked(fn?.codeSha256 ?? ''))) pieces.push(data);
    assert.ok(pieces.length > 1 && Buffer.concat(pieces).equals(zip));
    assert.equal(await whyNoCode(await asked('f'.repeat(64))), 'CODE_PACKAGE_NOT_FOUND');
  });

  it('updates what the mask names, and nothing when nothing changes', async () => {
    const { function: made } = await create({ environment: { A: '1' }, annotations: { 'a/note': 'x' } });
    clock.advance(1_000);
    const wanted = FunctionMessage.create({ ...NAME, timeout: { seconds: 9n }, environment: { B: '2' }, handler: 'ignored' });
    const { function: changed } = await functions.updateFunction({ function: wanted, updateMask: ['timeout'] });
    assert.deepEqual(changed?.timeout, durationOfMs(9_000));
    assert.deepEqual(changed?.environment, { A: '1' });
    assert.deepEqual(changed?.annotations, { 'a/note': 'x' });
    assert.ok((changed?.revision ?? 0) > (made?.revision ?? 0));
    assert.equal(changed?.codeSha256, made?.codeSha256);
    const { function: again } = await functions.updateFunction({ function: wanted, updateMask: ['timeout'] });
    assert.equal(again?.revision, changed?.revision);
    const larger = {
      function: FunctionMessage.create({ ...NAME, tmpMb: 4_096, maxProcesses: 16 }),
      updateMask: ['tmp_mb', 'max_processes'],
    };
    const { function: large } = await functions.updateFunction(larger);
    assert.deepEqual([large?.tmpMb, large?.maxProcesses, large?.timeout], [4_096, 16, durationOfMs(9_000)]);
    assert.ok((large?.revision ?? 0) > (again?.revision ?? 0));
    const { function: usual } = await functions.updateFunction({ function: FunctionMessage.create(NAME), updateMask: ['tmp_mb'] });
    assert.deepEqual([usual?.tmpMb, usual?.maxProcesses], [512, 16]);
    for (const updateMask of [[], ['name'], ['timeout', 'nonsense']]) {
      await assert.rejects(functions.updateFunction({ function: wanted, updateMask }), { reason: 'INVALID_FIELD' });
    }
    await assert.rejects(functions.updateFunction({ function: { ...wanted, name: 'unknown' }, updateMask: ['timeout'] }), {
      reason: 'FUNCTION_NOT_FOUND',
    });
  });

  it('keeps published versions as they were, and the code they name', async () => {
    await create();
    const { function: one } = await functions.publishFunctionVersion({ ...NAME, description: 'first' });
    assert.equal(one?.version, '1');
    assert.equal(one?.description, 'first');
    await functions.updateFunctionCode({ ...NAME, codeZip: pythonPackage('# new') });
    assert.deepEqual(await rows(), [2, 2]);
    await functions.updateFunctionCode({ ...NAME, codeZip: pythonPackage('# newer') });
    assert.deepEqual(await rows(), [2, 2], 'the one between is swept');
    await functions.publishFunctionVersion({ ...NAME, description: '' });
    assert.deepEqual((await registry.resolveFunction({ ...NAME, qualifier: '1' })).function, one);
    const first = await functions.listFunctionVersions({ ...NAME, pageSize: 1, pageToken: '' });
    assert.equal(first.functions[0]?.version, '2');
    const second = await functions.listFunctionVersions({ ...NAME, pageSize: 1, pageToken: first.nextPageToken });
    assert.deepEqual(second.functions, [one]);
    assert.equal(second.nextPageToken, '');
    await functions.deleteFunction(NAME);
    assert.deepEqual(await rows(), [0, 0]);
    await assert.rejects(functions.deleteFunction(NAME), { reason: 'FUNCTION_NOT_FOUND' });
  });

  it('shares a package between functions and sweeps it with the last', async () => {
    await create();
    await create({ name: 'twin' });
    assert.deepEqual(await rows(), [2, 1]);
    await functions.deleteFunction(NAME);
    assert.deepEqual(await rows(), [1, 1]);
    await functions.deleteFunction({ ...NAME, name: 'twin' });
    assert.deepEqual(await rows(), [0, 0]);
  });

  it('lists by name, page by page', async () => {
    for (const name of ['beta', 'Alpha', 'alpha2', 'gamma']) await create({ name });
    const names: string[] = [];
    let pageToken = '';
    do {
      const page = await functions.listFunctions({ namespace: 'default', pageSize: 3, pageToken, filter: '' });
      names.push(...page.functions.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    assert.deepEqual(names, ['Alpha', 'alpha2', 'beta', 'gamma']);
    const filtered = await functions.listFunctions({ namespace: 'default', pageSize: 1, pageToken: '', filter: 'ALPHA' });
    assert.deepEqual(
      filtered.functions.map(({ name }) => name),
      ['Alpha'],
    );
    await assert.rejects(functions.listFunctions({ namespace: 'default', pageSize: 1, pageToken: filtered.nextPageToken, filter: '' }), {
      reason: 'INVALID_PAGE_TOKEN',
    });
    await assert.rejects(functions.listFunctions({ namespace: 'default', pageSize: 1, pageToken: 'junk', filter: '' }), {
      reason: 'INVALID_PAGE_TOKEN',
    });
  });

  /** Waits until a watch reports this change. It may report others first: a change again by the database, and one before the watch was established. */
  const waitForChange = async (watch: AsyncIterator<unknown>, name: unknown): Promise<void> => {
    for (let step = await watch.next(); !isDeepStrictEqual(step.value, name); step = await watch.next()) assert.ok(!step.done, 'it ended');
  };

  /** Waits until a watch ends; notices before that, and late ones of an earlier change, come first. */
  const ended = async (watch: AsyncIterator<unknown>): Promise<void> => {
    while (!(await watch.next()).done);
  };

  it('notifies watchers of changes, those of another registry too', { timeout: 30_000 }, async () => {
    const controller = new AbortController();
    const watch = registry.watchFunctions({}, { signal: controller.signal })[Symbol.asyncIterator]();
    assert.deepEqual((await watch.next()).value, { namespace: '', name: '' });
    await inProcessClient(FunctionServiceService, other.functions).createFunction(CreateFunctionRequest.create({ function: VALID }));
    await waitForChange(watch, NAME);
    await create({ name: 'twin' });
    await waitForChange(watch, { ...NAME, name: 'twin' });
    await watch.return?.();
  });

  it('ends its watches when it may have missed something, and watches again after', async () => {
    const watch = registry.watchFunctions({})[Symbol.asyncIterator]();
    await watch.next();
    await create({ name: 'earlier' }); // notified twice: at once, and later by the database
    const [listener] = await db.sql<{ count: bigint }[]>`
      SELECT count(pg_terminate_backend(pid)) AS count FROM pg_stat_activity WHERE query ILIKE 'listen %' AND pid <> pg_backend_pid()`;
    assert.ok(listener && listener.count > 0n);
    await ended(watch);
    const again = registry.watchFunctions({})[Symbol.asyncIterator]();
    await again.next();
    await eventually(async () => {
      await inProcessClient(FunctionServiceService, other.functions).createFunction(CreateFunctionRequest.create({ function: VALID }));
      return true;
    });
    await waitForChange(again, NAME);
    await again.return?.();
  });

  it('lets many change one function at the same time, and the code stay whole', async () => {
    await create();
    const changes = Array.from({ length: 8 }, (_, i) => [
      functions.updateFunction({
        function: FunctionMessage.create({ ...NAME, timeout: { seconds: BigInt(i + 5) } }),
        updateMask: ['timeout'],
      }),
      functions.updateFunctionCode({ ...NAME, codeZip: pythonPackage(`# ${i % 3}`) }),
    ]).flat();
    const results = await Promise.allSettled(changes);
    for (const result of results)
      if (result.status === 'rejected') assert.equal((result.reason as { reason: string }).reason, 'SERVICE_UNAVAILABLE');
    const { function: fn } = await functions.getFunction({ ...NAME, qualifier: '' });
    const [code] = await db.sql<{ sha256: string }[]>`SELECT sha256 FROM registry.code_package`;
    assert.equal(code?.sha256, fn?.codeSha256);
    assert.deepEqual(await rows(), [1, 1]);
  });

  const refused: readonly (readonly [string, string, Partial<NonNullable<Base>['function']>])[] = [
    ['a name that ends in a dash', 'INVALID_NAME', { name: 'a-' }],
    ['a name of one letter', 'INVALID_NAME', { name: 'a' }],
    ['a name of 61 letters', 'INVALID_NAME', { name: 'a'.repeat(61) }],
    ['no namespace', 'INVALID_NAME', { namespace: '' }],
    ['no runtime', 'INVALID_FIELD', { runtime: '' }],
    ['another runtime', 'INVALID_FIELD', { runtime: 'php8' }],
    ['a handler without a function', 'INVALID_FIELD', { handler: 'index' }],
    ['a handler that leads out', 'INVALID_FIELD', { handler: '../index.main' }],
    ['a handler that is not in the code', 'INVALID_CODE_PACKAGE', { handler: 'other.main' }],
    ['a hook that is not in the code', 'INVALID_CODE_PACKAGE', { preStop: { handler: 'other.main' } }],
    ['a handler of another runtime', 'INVALID_CODE_PACKAGE', { runtime: 'nodejs' }],
    ['a program that is not in the code', 'INVALID_CODE_PACKAGE', { runtime: 'custom', handler: '' }],
    ['a server that is not in the code', 'INVALID_CODE_PACKAGE', { runtime: 'web', handler: 'anything' }],
    ['a program that leads out', 'INVALID_FIELD', { runtime: 'go1', handler: '../main' }],
    ['a hook where there are none', 'INVALID_FIELD', { runtime: 'go1', handler: 'main', initializer: { handler: 'main' } }],
    ['a hook without a name', 'INVALID_FIELD', { runtime: 'web', preStop: { handler: '' } }],
    ['a handler that no header can carry', 'INVALID_FIELD', { runtime: 'custom', handler: 'a\r\nb' }],
    ['a port where there is no server', 'INVALID_FIELD', { port: 9000 }],
    ['a port that is none', 'INVALID_FIELD', { runtime: 'web', port: 65_536 }],
    ['half a second', 'INVALID_FIELD', { timeout: { nanos: 5e8 } }],
    ['more than a day', 'INVALID_FIELD', { timeout: { seconds: 86_401n } }],
    ['a megabyte too many', 'INVALID_FIELD', { memoryMb: 129 }],
    ['too much memory', 'INVALID_FIELD', { memoryMb: 131_200 }],
    ['too little room', 'INVALID_FIELD', { tmpMb: 63 }],
    ['too much room', 'INVALID_FIELD', { tmpMb: 4_097 }],
    ['room below nothing', 'INVALID_FIELD', { tmpMb: -1 }],
    ['too few processes', 'INVALID_FIELD', { maxProcesses: 15 }],
    ['too many processes', 'INVALID_FIELD', { maxProcesses: 4_097 }],
    ['a long description', 'INVALID_FIELD', { description: 'x'.repeat(1_001) }],
    ['a variable that is no name', 'INVALID_FIELD', { environment: { '1A': '' } }],
    ['a reserved variable', 'INVALID_FIELD', { environment: { SCF_X: '' } }],
    ['an annotation without a name', 'INVALID_FIELD', { annotations: { '': 'x' } }],
    ['annotations that are no notes any more', 'INVALID_FIELD', { annotations: { a: 'x'.repeat(4 * 1024) } }],
    ['variables of more than 4 KB', 'INVALID_FIELD', { environment: { A: 'x'.repeat(4_096) } }],
    ['nine retries', 'INVALID_FIELD', { eventInvoke: { maxRetries: 9 } }],
    ['minus one retry', 'INVALID_FIELD', { eventInvoke: { maxRetries: -1 } }],
    ['a short interval', 'INVALID_FIELD', { eventInvoke: { retryInterval: { nanos: 1 } } }],
    ['a topic without Kafka', 'INVALID_FIELD', { eventInvoke: { onSuccess: { target: { $case: 'topic', value: { name: 'orders' } } } } }],
    ['a destination without a target', 'INVALID_FIELD', { eventInvoke: { onFailure: {} } }],
    ['an age of seven hours', 'INVALID_FIELD', { eventInvoke: { maxEventAge: { seconds: 25_200n } } }],
    ['SIGKILL', 'INVALID_FIELD', { termination: { killSignal: 9 } }],
    ['a grace longer than the longest', 'INVALID_FIELD', { termination: { gracePeriod: { seconds: 601n } } }],
    [
      'nine steps',
      'INVALID_FIELD',
      { termination: { escalation: Array.from({ length: 9 }, () => ({ signal: 15 as const, wait: { seconds: 1n } })) } },
    ],
    ['a warning without a time', 'INVALID_FIELD', { terminationByCause: { timeout: {} } }],
    ['a warning as long as the timeout', 'INVALID_FIELD', { terminationByCause: { timeout: { gracePeriod: { seconds: 3n } } } }],
    [
      'a warning with steps',
      'INVALID_FIELD',
      { terminationByCause: { timeout: { gracePeriod: { seconds: 1n }, escalation: [{ signal: 15 as const, wait: { seconds: 1n } }] } } },
    ],
    ['SIGKILL for a drain', 'INVALID_FIELD', { terminationByCause: { drain: { killSignal: 9 } } }],
    ['a step without a signal', 'INVALID_FIELD', { termination: { escalation: [{ wait: { seconds: 1n } }] } }],
    ['a hook of six minutes', 'INVALID_FIELD', { initializer: { handler: 'index.init', timeout: { seconds: 360n } } }],
    ['an init timeout of two seconds', 'INVALID_FIELD', { initTimeout: { seconds: 2n } }],
  ];
  for (const [name, reason, fn] of refused) {
    it(`refuses ${name} and leaves nothing behind`, async () => {
      await assert.rejects(create(fn), { reason });
      assert.deepEqual(await rows(), [0, 0]);
    });
  }
});
