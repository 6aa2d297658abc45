import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { after, before, beforeEach, describe, it } from 'node:test';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { FunctionMessage, WebhookDestination } from '@evenfall/contracts/v1/function';
import { CreateFunctionRequest, FunctionServiceService, UpdateFunctionRequest } from '@evenfall/contracts/v1/function_service';
import { isRefusal } from '@evenfall/errors';
import { type ClientOf, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { fakeClock } from '@evenfall/time';
import { createFunctionSecretStore } from './adapters/postgres/function-secret-store.ts';
import { createSealing } from './domain/sealing.ts';
import { sealFunctions } from './flows/seal-functions.ts';
import { startRegistry } from './service.ts';
import { makeZip } from './testing/zip-maker.ts';

const [FIRST, SECOND] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')] as const;
const CANARY = 'canary-of-the-environment';
const WEBHOOK = 'canary-of-the-webhook-secret';
const URL = 'https://hook.example/in';
const named = (name: string) => ({ namespace: 'default', name, qualifier: '' });
const why = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => '',
    (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
  );

type Open = { readonly functions: ClientOf<typeof FunctionServiceService>; readonly registry: ClientOf<typeof RegistryServiceService> };

describe('secrets of functions in the registry', () => {
  let db: TestDatabase;
  before(async () => {
    db = await testDatabase();
  });
  after(() => db.drop());
  beforeEach(async () => {
    await db.sql`DROP SCHEMA IF EXISTS registry CASCADE`;
  });

  /** Runs with a registry that has these sealing keys. */
  const withKeys = async (sealingKeys: readonly string[], run: (open: Open) => Promise<void>): Promise<void> => {
    const running = await startRegistry({ sql: db.sql, log: silentLog, clock: fakeClock() }, { sealingKeys });
    try {
      await run({
        functions: inProcessClient(FunctionServiceService, running.functions),
        registry: inProcessClient(RegistryServiceService, running.registry),
      });
    } finally {
      await running.stop();
    }
  };
  const create = async ({ functions }: Open, name: string, settings: Parameters<typeof FunctionMessage.fromPartial>[0]): Promise<void> => {
    const fn = FunctionMessage.fromPartial({ namespace: 'default', name, runtime: 'nodejs', handler: 'index.handler', ...settings });
    await functions.createFunction({
      ...CreateFunctionRequest.create(),
      function: fn,
      codeZip: makeZip([{ name: 'index.js', data: 'exports.handler = 1' }]),
    });
  };
  const secret = {
    environment: { TOKEN: CANARY, EMPTY: '' },
    eventInvoke: {
      onFailure: { target: { $case: 'webhook' as const, value: WebhookDestination.fromPartial({ url: URL, secret: WEBHOOK }) } },
    },
  };
  /** Everything in every table, as text and as bytes. */
  const dump = async (): Promise<string> => {
    const tables = await db.sql<{ name: string }[]>`
      SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
    let text = '';
    for (const { name } of tables) {
      const rows = await db.sql.unsafe<Record<string, unknown>[]>(`SELECT * FROM ${name}`);
      for (const row of rows)
        for (const value of Object.values(row))
          text += Buffer.isBuffer(value) ? value.toString('latin1') : inspect(value, { depth: 9, maxStringLength: null });
    }
    return text;
  };
  const hasCanaries = async (): Promise<boolean[]> => {
    const text = await dump();
    return [CANARY, WEBHOOK].map((canary) => text.includes(canary));
  };
  const resolved = async ({ registry }: Open, name: string) => {
    const { function: fn } = await registry.resolveFunction(named(name));
    const target = fn?.eventInvoke?.onFailure?.target;
    const webhook = target?.$case === 'webhook' ? target.value : undefined;
    const sealedSecret = webhook?.sealedSecret;
    const opened = sealedSecret && (await registry.openWebhookSecret({ sealedSecret, url: URL })).secret;
    return { environment: fn?.environment, secret: webhook?.secret, opened };
  };
  const WHOLE = { environment: secret.environment, secret: '', opened: WEBHOOK };

  it('are in no table, of no version, and are what they were for who runs them', async () => {
    await withKeys([FIRST], async (open) => {
      await create(open, 'ff', secret);
      await open.functions.publishFunctionVersion({ namespace: 'default', name: 'ff', description: '' });
      const update = FunctionMessage.fromPartial({ namespace: 'default', name: 'ff', description: 'changed' });
      await open.functions.updateFunction(UpdateFunctionRequest.fromPartial({ function: update, updateMask: ['description'] }));
      assert.deepEqual(await hasCanaries(), [false, false]);
      assert.deepEqual(await resolved(open, 'ff'), WHOLE);
      const { function: shown } = await open.functions.getFunction(named('ff'));
      assert.deepEqual(shown?.environment, secret.environment, 'to whom the gateway shows it');
      assert.ok(!inspect(shown.eventInvoke, { depth: 9 }).includes(WEBHOOK));
      const { functions } = await open.functions.listFunctionVersions({ namespace: 'default', name: 'ff', pageSize: 0, pageToken: '' });
      assert.deepEqual(functions[0]?.environment, secret.environment);
    });
  });

  it('are sealed at the next start where they were in the clear, row by row, and anew with a new key', async () => {
    await withKeys([], async (open) => {
      for (let n = 0; n < 5; n++) await create(open, `f${n}`, secret);
      await create(open, 'plain', {});
      assert.deepEqual(await hasCanaries(), [true, true]);
      assert.deepEqual((await resolved(open, 'f0')).environment, secret.environment);
    });
    // Killed in the middle: the third row fails, and what was done is done.
    const store = createFunctionSecretStore(db.sql);
    let rows = 0;
    const dying = {
      ...store,
      replace: (...given: Parameters<typeof store.replace>) => (++rows > 2 ? Promise.reject(new Error('killed')) : store.replace(...given)),
    };
    await assert.rejects(sealFunctions(dying, createSealing([FIRST])), /killed/);
    const before = await db.sql`SELECT name, revision FROM registry.function_version ORDER BY name`;
    await withKeys([FIRST], async (open) => {
      assert.deepEqual(await hasCanaries(), [false, false]);
      for (let n = 0; n < 5; n++) assert.deepEqual(await resolved(open, `f${n}`), WHOLE);
    });
    assert.deepEqual(await db.sql`SELECT name, revision FROM registry.function_version ORDER BY name`, before, 'no function changed');
    assert.deepEqual(await sealFunctions(store, createSealing([FIRST])), { sealed: 0, locked: 0, clear: 0 }, 'once');
    await withKeys([SECOND, FIRST], async (open) => assert.deepEqual(await resolved(open, 'f0'), WHOLE));
    await withKeys([SECOND], async (open) => assert.deepEqual(await resolved(open, 'f4'), WHOLE));
  });

  it('without their key stop what needs them and nothing else, until they are there or are set anew', async () => {
    let sealedSecret: Buffer | undefined;
    await withKeys([FIRST], async (open) => {
      await create(open, 'locked', secret);
      await create(open, 'neighbour', {});
      const target = (await open.registry.resolveFunction(named('locked'))).function?.eventInvoke?.onFailure?.target;
      sealedSecret = target?.$case === 'webhook' ? target.value.sealedSecret : undefined;
    });
    for (const keys of [[SECOND], []])
      await withKeys(keys, async (open) => {
        const { functions, registry } = open;
        assert.equal(await why(registry.resolveFunction(named('locked'))), 'SECRETS_NOT_READABLE');
        assert.equal((await registry.resolveFunction(named('neighbour'))).function?.name, 'neighbour');
        assert.equal(
          await why(registry.openWebhookSecret({ sealedSecret: sealedSecret ?? Buffer.alloc(0), url: URL })),
          'SECRETS_NOT_READABLE',
        );
        const { function: shown } = await functions.getFunction(named('locked'));
        assert.deepEqual(Object.keys(shown?.environment ?? {}), ['TOKEN', 'EMPTY']);
        assert.match(shown?.environment['TOKEN'] ?? '', /sealed with a key that is not there/);
        const list = await functions.listFunctions({ namespace: 'default', filter: '', pageSize: 0, pageToken: '' });
        assert.ok(list.functions.length >= 2);
        const change = (mask: string[]): Promise<unknown> => {
          const fn = FunctionMessage.fromPartial({ namespace: 'default', name: 'locked', environment: { TOKEN: 'another' } });
          return functions.updateFunction(UpdateFunctionRequest.fromPartial({ function: fn, updateMask: mask }));
        };
        for (const mask of [['description'], ['environment'], ['event_invoke']])
          assert.equal(await why(change(mask)), 'SECRETS_NOT_READABLE');
        assert.equal(
          await why(functions.publishFunctionVersion({ namespace: 'default', name: 'locked', description: '' })),
          'SECRETS_NOT_READABLE',
        );
        await create(open, `new${keys.length}`, secret);
      });
    await withKeys([SECOND, FIRST], async (open) => assert.deepEqual(await resolved(open, 'locked'), WHOLE));
    await withKeys([FIRST], async ({ functions, registry }) => {
      const fn = FunctionMessage.fromPartial({ namespace: 'default', name: 'locked', environment: { TOKEN: 'another' } });
      await functions.updateFunction(UpdateFunctionRequest.fromPartial({ function: fn, updateMask: ['environment', 'event_invoke'] }));
      assert.deepEqual((await registry.resolveFunction(named('locked'))).function?.environment, { TOKEN: 'another' });
      await functions.deleteFunction({ namespace: 'default', name: 'locked' });
    });
  });

  it('open for their own function and address alone', async () => {
    await withKeys([FIRST], async (open) => {
      await create(open, 'mine', secret);
      await create(open, 'thief', { environment: { TOKEN: 'x' } });
      await db.sql`UPDATE registry.function_version t SET sealed = m.sealed FROM registry.function_version m WHERE t.name = 'thief' AND m.name = 'mine'`;
      assert.equal(await why(open.registry.resolveFunction(named('thief'))), 'SECRETS_NOT_READABLE');
      const target = (await open.registry.resolveFunction(named('mine'))).function?.eventInvoke?.onFailure?.target;
      const sealedSecret = (target?.$case === 'webhook' && target.value.sealedSecret) || Buffer.alloc(0);
      assert.equal(await why(open.registry.openWebhookSecret({ sealedSecret, url: 'https://evil.example/' })), 'SECRETS_NOT_READABLE');
      // What a caller says is sealed is not read.
      await create(open, 'liar', {
        eventInvoke: { onFailure: { target: { $case: 'webhook', value: { url: URL, secret: WEBHOOK, secretSet: true, sealedSecret } } } },
      });
      assert.equal((await resolved(open, 'liar')).opened, WEBHOOK);
      const shown = (await open.functions.getFunction(named('liar'))).function?.eventInvoke?.onFailure?.target;
      assert.ok(shown?.$case === 'webhook' && shown.value.sealedSecret === undefined && shown.value.secret === '');
    });
  });
});
