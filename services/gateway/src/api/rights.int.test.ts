import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type Access, type Action, allows, allowsInEach, type Grant, OPERATIONS, RPCS, SCF_ACTIONS } from '@evenfall/access';
import { AccessKey_Role, AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { AuditServiceService } from '@evenfall/contracts/v1/audit_service';
import { Event } from '@evenfall/contracts/v1/event';
import { BatchCreateEventsRequest, EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { InvocationServiceService, InvokeFunctionRequest } from '@evenfall/contracts/v1/invocation_service';
import { LogServiceService } from '@evenfall/contracts/v1/log_service';
import { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { isRefusal } from '@evenfall/errors';
import { grpcClient, type MethodDefinition, type ServiceDefinition } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { roleRuleOf } from '../domain/token-rights.ts';
import { RUNNABLE } from '../testing/complete.ts';
import { openApis } from '../testing/harness.ts';
import { AUDIENCE, newKey, signToken, startIssuer } from '../testing/issuer.ts';
import { bearerOf, keptKey, signingKey } from '../testing/keys.ts';
import { tc3Headers } from '../testing/tc3.ts';
import { ACTIONS as SCF } from './scf/actions.ts';

const MINE = 'team-a';
const OTHERS = 'team-b';
const ID_OF: Readonly<Record<string, string>> = {
  [MINE]: '01990000-0000-7000-8000-00000000000a',
  [OTHERS]: '01990000-0000-7000-8000-00000000000b',
};
const KEY_OF: Readonly<Record<string, string>> = { [MINE]: 'key-of-a', [OTHERS]: 'key-of-b' };
const SERVICES: Readonly<Record<string, ServiceDefinition>> = {
  FunctionService: FunctionServiceService,
  EventService: EventServiceService,
  InvocationService: InvocationServiceService,
  LogService: LogServiceService,
  OperatorService: OperatorServiceService,
  AccessKeyService: AccessKeyServiceService,
  QuotaService: QuotaServiceService,
  AuditService: AuditServiceService,
};
/** Who calls: with a key, which has one grant, or with a token, which may have several. */
type Caller = Access & { readonly isToken: boolean };

/** Every role, good for one namespace and for all. */
const KEYS: readonly (Caller & { readonly grants: readonly [Grant] })[] = (
  ['admin', 'operator', 'deployer', 'invoker', 'viewer'] as const
).flatMap((role) =>
  [new Set([MINE]), 'all' as const].flatMap((namespaces) =>
    (role === 'viewer' ? [false, true] : [false]).map((showsPayloads) => ({
      id: `${role}.${namespaces === 'all' ? 'all' : 'one'}${showsPayloads ? '.payloads' : ''}`,
      grants: [{ role, namespaces, showsPayloads }] as const,
      isToken: false,
    })),
  ),
);
/** Several roles in one token, of which no single key has the rights. */
const TOKENS: readonly Caller[] = [
  ['viewer@team-a', 'operator@team-b'],
  ['invoker@team-a', 'deployer@team-b'],
  ['admin@team-a', 'viewer@*'],
  ['viewer+payloads@team-b', 'deployer@team-a', 'invoker@team-a'],
].map((roles) => ({ id: roles.join(' '), grants: roles.map((role) => roleRuleOf(`${role}=${role}`)), isToken: true }));
const CALLERS: readonly Caller[] = [...KEYS, ...TOKENS];

const signing = await newKey('first');
const issuer = await startIssuer(signing);
const RULES = [...new Set(TOKENS.flatMap(({ id }) => id.split(' ')))].map((role) => roleRuleOf(`${role}=${role}`));
const bearers = new Map<string, { readonly authorization: string }>();
for (const { id, isToken } of CALLERS)
  bearers.set(
    id,
    isToken ? { authorization: `Bearer ${await signToken(issuer, signing, { sub: id, groups: id.split(' ') })}` } : bearerOf(id),
  );
const headersOf = ({ id }: Caller): { readonly authorization: string } => bearers.get(id) ?? bearerOf(id);
/** The result of a call: allowed, forbidden, or refused as not found. */
type CallAccess = 'in' | 'forbidden' | 'not there';
const OF_EVENT: ReadonlySet<Action> = new Set([
  'events.read',
  'events.terminate',
  'logs.read',
  'dead_letters.read',
  'dead_letters.redrive',
  'dead_letters.purge',
]);

/** What the tables say. `named` is the namespace where the request itself names it. */
function expected(caller: Access, action: Action, namespace: string, isNamed: boolean): CallAccess {
  if (!allows(caller, action, isNamed ? namespace : undefined)) return 'forbidden';
  if (isNamed) return 'in';
  if (action === 'keys.read' || action === 'keys.manage') return allowsInEach(caller, action, [namespace]) ? 'in' : 'not there';
  if (!OF_EVENT.has(action)) return 'in';
  if (!allows(caller, action.startsWith('dead_letters.') ? 'dead_letters.read' : 'events.read', namespace)) return 'not there';
  return allows(caller, action, namespace) ? 'in' : 'forbidden';
}

function accessOf(status: number, text: string): CallAccess {
  assert.notEqual(status, 401, text);
  if (status === 403 && text.includes('"ROLE_FORBIDS"')) return 'forbidden';
  return status === 404 && /(EVENT|DEAD_LETTER|ACCESS_KEY)_NOT_FOUND/.test(text) ? 'not there' : 'in';
}

describe('every operation of every API', () => {
  const rights = { claim: 'groups', rules: RULES };
  const oidc = [{ name: undefined, issuer: issuer.url, audience: AUDIENCE, rights, keysMaxAgeMs: 3_600_000, maxLifetimeMs: 86_400_000 }];
  const apis = openApis({ oidc });
  after(() => issuer.stop());

  before(async () => {
    for (const { id, grants } of KEYS) {
      const [{ role, namespaces, showsPayloads: showPayloads }] = grants;
      const wanted = {
        id,
        role: AccessKey_Role[role.toUpperCase() as 'ADMIN'],
        namespaces: namespaces === 'all' ? ['*'] : [...namespaces],
      };
      apis.world.keys.set(id, keptKey({ ...wanted, showPayloads, scf: true }));
    }
    for (const [namespace, id] of Object.entries(KEY_OF)) apis.world.keys.set(id, keptKey({ id, namespaces: [namespace] }));
    const keys = [...apis.world.keys.values()];
    await eventually(() => apis.world.keyWatches.length > 0);
    for (const watch of apis.world.keyWatches) watch.push({ keys, isComplete: false });
    const headers = bearerOf('admin.all');
    await eventually(async () => (await fetch(`${apis.url}/v1/agents`, { headers })).status === 200);
  });
  beforeEach(() => {
    for (const [namespace, id] of Object.entries(ID_OF)) {
      const event = Event.create({
        id,
        namespace,
        function: 'killer',
        state: 4,
        result: Buffer.from('"a payload"'),
        error: Buffer.from('"an error"'),
      });
      apis.world.events.set(id, event);
      apis.world.deadLetters.set(id, { event, payload: Buffer.from('"a payload"') });
      apis.world.functions.set(`${namespace}/killer`, { ...RUNNABLE, namespace, environment: { TOKEN: 'a value' } });
    }
  });
  const callers =
    (check: (caller: Caller, namespace: string) => Promise<void>, among = CALLERS) =>
    async () => {
      for (const caller of among) for (const namespace of [MINE, OTHERS]) await check(caller, namespace);
    };

  describe('REST', () => {
    it('has an action for each that the OpenAPI document has, and no other', async () => {
      const ids = (await operations(apis.url)).map(({ id }) => id);
      assert.deepEqual(ids.toSorted(), Object.keys(OPERATIONS).toSorted());
    });

    it('lets in whom the table lets in', async () => {
      for (const { id, method, path } of await operations(apis.url)) {
        const { action } = OPERATIONS[id as keyof typeof OPERATIONS];
        await callers(async (caller, namespace) => {
          const url = path
            .replace('{namespace}', namespace)
            .replace('{function}', 'killer')
            .replace('{event_id}', ID_OF[namespace] ?? '')
            .replace('{agent_id}', 'a1')
            .replace('{key_id}', KEY_OF[namespace] ?? '');
          const isNamed = path.includes('{namespace}');
          const end = new AbortController();
          const response = await fetch(apis.url + url, {
            method,
            headers: { ...headersOf(caller), 'evenfall-client': 'test' },
            signal: end.signal,
          });
          const text = response.status >= 400 ? await response.text() : '';
          end.abort(); // of a stream
          const wanted = path.includes('{') ? expected(caller, action, namespace, isNamed) : allows(caller, action) ? 'in' : 'forbidden';
          // The stream of an event begins before the event is looked for.
          const isStream = id === 'watchEvent' && wanted === 'not there' && response.status === 200;
          assert.equal(
            isStream ? wanted : accessOf(response.status, text),
            wanted,
            `${caller.id} ${id} ${namespace}: ${response.status} ${text}`,
          );
          restore(namespace);
        })();
      }
    });
  });

  describe('gRPC', () => {
    const methods = Object.entries(SERVICES).flatMap(([name, service]) =>
      Object.values(service).map((method) => ({
        name: `${name}/${method.path.split('/')[2] ?? ''}`,
        service,
        method: method,
      })),
    );

    it('has an action for each method, and no other', () => {
      assert.deepEqual(methods.map(({ name }) => name).toSorted(), Object.keys(RPCS).toSorted());
    });

    it('looks at the namespace of every request that has one', () => {
      for (const { name, method } of methods) {
        const request = method.requestDeserialize(Buffer.alloc(0)) as Record<string, unknown>;
        const isFilter = name === 'AuditService/ListAuditRecords'; // what it answers is of the key's namespaces only
        if ('namespace' in request && !isFilter) assert.equal(RPCS[name]?.namespace, 'namespace', name);
      }
    });

    it('lets in whom the table lets in', async () => {
      const address = `127.0.0.1:${apis.gateway.grpcPort}`;
      for (const { name, service, method } of methods) {
        const rule = RPCS[name];
        assert.ok(rule);
        const { client, close } = grpcClient(service, address);
        const key = Object.entries(service).find(([, one]) => one.path === method.path)?.[0] ?? '';
        const send = (client as unknown as Record<string, (...given: unknown[]) => unknown>)[key]; // by its name
        await callers(async (caller, namespace) => {
          const request = requestOf(method, rule.namespace, namespace, name.startsWith('AccessKeyService/'));
          const end = new AbortController();
          const run = async (): Promise<void> => {
            async function* one() {
              yield request;
            }
            const answer = send?.(method.requestStream ? one() : request, { headers: headersOf(caller), signal: end.signal });
            if (!method.responseStream) return answer as Promise<void>;
            if (method.path.endsWith('/WatchEvent')) {
              const before = apis.world.watches.length;
              const seen = (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]().next(); // it answers once something happens
              await Promise.race([seen, eventually(() => apis.world.watches.length > before)]);
              apis.world.watches.at(-1)?.out.push({ event: apis.world.events.get(ID_OF[namespace] ?? ''), version: 1 });
              await seen;
              return;
            }
            for await (const _ of answer as AsyncIterable<unknown>) return;
          };
          let actual: CallAccess = 'in';
          try {
            await run();
          } catch (error) {
            assert.ok(isRefusal(error), String(error));
            assert.ok(!['UNAUTHENTICATED', 'INTERNAL', 'CANCELLED'].includes(error.reason), `${caller.id} ${name} ${String(error)}`);
            if (error.reason === 'ROLE_FORBIDS') actual = 'forbidden';
            if (/^(EVENT|DEAD_LETTER|ACCESS_KEY)_NOT_FOUND$/.test(error.reason)) actual = 'not there';
          }
          end.abort();
          const namesOne = ('id' in request || 'eventId' in request) && key !== 'createAccessKey';
          const isNamed = rule.namespace !== undefined;
          const somewhere: CallAccess = allows(caller, rule.action) ? 'in' : 'forbidden';
          const wanted = namesOne || isNamed ? expected(caller, rule.action, namespace, isNamed) : somewhere;
          assert.equal(actual, wanted, `${caller.id} ${name} ${namespace}`);
          restore(namespace);
        })();
        close();
      }
    });
  });

  describe('SCF', () => {
    const FUNCTION = { FunctionName: 'killer' };
    const more: Readonly<Record<string, object>> = {
      CreateNamespace: {},
      UpdateNamespace: {},
      DeleteNamespace: {},
      ListNamespaces: {},
      ListFunctions: {},
      GetAccount: {},
      PutReservedConcurrencyConfig: { ...FUNCTION, ReservedConcurrencyMem: 128 },
      PutProvisionedConcurrencyConfig: { ...FUNCTION, Qualifier: '1', VersionProvisionedConcurrencyNum: 1 },
      DeleteProvisionedConcurrencyConfig: { ...FUNCTION, Qualifier: '1' },
      UpdateFunctionEventInvokeConfig: { ...FUNCTION, AsyncTriggerConfig: { RetryConfig: [{ RetryNum: 1 }], MsgTTL: 3600 } },
    };

    it('has an action for each operation of the API, and no other', () => {
      assert.deepEqual([...SCF.keys()].toSorted(), Object.keys(SCF_ACTIONS).toSorted());
    });

    it('lets in whom the table lets in, and says no in words of SCF', async () => {
      for (const [name, rule] of Object.entries(SCF_ACTIONS)) {
        await callers(async (caller, namespace) => {
          const ids = {
            ...(/AsyncEvent(Status)?$/.test(name) ? { InvokeRequestId: ID_OF[namespace] } : {}),
            ...(name === 'GetRequestStatus' ? { FunctionRequestId: ID_OF[namespace] } : {}),
          };
          const parameters = {
            ...(rule.namespace === 'event' ? {} : (more[name] ?? FUNCTION)),
            ...ids,
            ...(rule.namespace === 'parameter' ? { Namespace: namespace } : {}),
          };
          const body = JSON.stringify(parameters);
          const signed = tc3Headers({ ...signingKey(caller.id), host: new URL(apis.url).host, body, contentType: 'application/json' });
          const response = await fetch(`${apis.url}/`, {
            method: 'POST',
            body,
            headers: { ...signed, 'content-type': 'application/json', 'x-tc-action': name, 'x-tc-version': '2018-04-16' },
          });
          const said = (await response.json()) as { Response: { Error?: { Code: string; Message: string } } };
          const { Code: code = '' } = said.Response.Error ?? {};
          assert.ok(
            !code.startsWith('AuthFailure') && code !== 'UnknownParameter' && code !== 'MissingParameter',
            `${name} ${JSON.stringify(said)}`,
          );
          const meant = rule.namespace === 'default' ? 'default' : namespace;
          const wanted = expected(caller, rule.action, meant, rule.namespace !== 'event');
          const actual: CallAccess =
            code === 'UnauthorizedOperation' ? 'forbidden' : code === 'ResourceNotFound.AsyncEvent' ? 'not there' : 'in';
          assert.equal(actual, wanted, `${caller.id} ${name} ${namespace} ${JSON.stringify(said)}`);
          restore(namespace);
        }, KEYS)();
      }
    });
  });

  it('shows payloads, results, errors and values of variables to those alone who have a right to them', async () => {
    for (const caller of CALLERS) {
      const get = async (path: string): Promise<string> => (await fetch(apis.url + path, { headers: headersOf(caller) })).text();
      for (const namespace of [MINE, OTHERS]) {
        if (!allows(caller, 'events.read', namespace)) continue;
        const about = `${caller.id} ${namespace}`;
        const seesPayloads = allows(caller, 'events.read_payloads', namespace);
        const list = JSON.parse(await get(`/v1/namespaces/${namespace}/functions/killer/events`)) as { events: { namespace: string }[] };
        const listed = list.events.filter((one) => one.namespace === namespace); // the fake lists all there are
        for (const shown of [await get(`/v1/events/${ID_OF[namespace]}`), JSON.stringify(listed)]) {
          assert.equal(shown.includes('a payload'), seesPayloads, `${about} ${shown}`);
          assert.equal(shown.includes('an error'), seesPayloads, `${about} ${shown}`);
        }
        const letter = await get(`/v1/dead-letters/${ID_OF[namespace]}`);
        if (allows(caller, 'dead_letters.read', namespace)) assert.equal(letter.includes('a payload'), seesPayloads, about);
        for (const path of ['', '/versions']) {
          const shown = await get(`/v1/namespaces/${namespace}/functions/killer${path}`);
          assert.ok(shown.includes('TOKEN'), `${about} ${shown}`);
          assert.equal(shown.includes('a value'), allows(caller, 'functions.read_secrets', namespace), about);
        }
      }
    }
  });

  it('lets no key reach another namespace by a destination, or make a key that may more', async () => {
    const send = (method: string, path: string, id: string, body: object) =>
      fetch(apis.url + path, { method, headers: { ...bearerOf(id), 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const to = (name: string) => ({ event_invoke: { on_success: { function: name } } });
    const path = `/v1/namespaces/${MINE}/functions/killer`;
    assert.equal((await send('PATCH', path, 'deployer.one', to(`${OTHERS}/killer`))).status, 403);
    assert.equal((await send('PUT', `${path}/event-invoke-config`, 'deployer.one', to(`${OTHERS}/killer`).event_invoke)).status, 403);
    assert.equal((await send('PATCH', path, 'deployer.one', to(`${MINE}/other`))).status, 200);
    assert.equal((await send('PATCH', path, 'deployer.all', to(`${OTHERS}/killer`))).status, 200);
    const key = (namespaces: string[]) => ({ role: 'ADMIN', namespaces });
    for (const beyond of [['*'], [OTHERS], [MINE, OTHERS]])
      assert.equal((await send('POST', '/v1/access-keys', 'admin.one', key(beyond))).status, 403, beyond.join());
    assert.equal((await send('POST', '/v1/access-keys', 'admin.one', key([MINE]))).status, 201);
    assert.equal(
      (await send('POST', '/v1/access-keys', 'admin.all', { ...key(['*']), id: 'test' })).status,
      409,
      'the id of a key of the settings',
    );
    const listed = (await (await fetch(`${apis.url}/v1/access-keys`, { headers: bearerOf('admin.one') })).json()) as {
      access_keys: { namespaces: string[] }[];
    };
    assert.ok(listed.access_keys.length > 0 && listed.access_keys.every(({ namespaces }) => namespaces.join() === MINE));
  });

  /** What a call that was let in has changed. */
  function restore(namespace: string): void {
    const id = ID_OF[namespace] ?? '';
    const event = apis.world.events.get(id);
    if (event) apis.world.deadLetters.set(id, { event, payload: Buffer.from('"a payload"') });
    apis.world.functions.set(`${namespace}/killer`, { ...RUNNABLE, namespace, environment: { TOKEN: 'a value' } });
  }
});

type Described = { readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId?: string }>>>> };

/** The operations of the API's document. */
async function operations(url: string): Promise<{ id: string; method: string; path: string }[]> {
  const document = (await (await fetch(`${url}/openapi.json`, { headers: bearerOf('admin.all') })).json()) as Described; // as it describes itself
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { operationId: id }]) =>
      id === undefined ? [] : [{ id, method: method.toUpperCase(), path }],
    ),
  );
}

/** A request that names a namespace where the rule looks, and ids of things that are there. */
function requestOf(method: MethodDefinition, namespacePath: string | undefined, namespace: string, isAboutKeys: boolean): object {
  const request = method.requestDeserialize(Buffer.alloc(0)) as Record<string, unknown>;
  if ('id' in request) request['id'] = isAboutKeys ? KEY_OF[namespace] : ID_OF[namespace];
  if ('eventId' in request) request['eventId'] = ID_OF[namespace];
  if ('agentId' in request) request['agentId'] = 'a1';
  if (isAboutKeys && 'namespaces' in request) request['namespaces'] = [MINE];
  const [first = '', second] = (namespacePath ?? '').split('.');
  if (second === undefined && first !== '') Object.assign(request, { namespace, name: 'killer', function: 'killer' });
  if (first === 'function' && second !== undefined) request[first] = { ...RUNNABLE, namespace };
  if (first === 'invocation') request[first] = InvokeFunctionRequest.create({ namespace, function: 'killer' });
  if (first === 'batch') request[first] = BatchCreateEventsRequest.create({ namespace, function: 'killer', submissions: [{}] });
  return request;
}
