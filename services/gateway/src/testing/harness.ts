import { after, before, beforeEach } from 'node:test';
import { type AnswerCheck, createAnswerCheck } from '@evenfall/testkit';
import { type GatewaySettings, type RunningGateway, startGateway } from '../service.ts';
import { fakeWorld, type World } from './fakes.ts';
import { tc3Headers } from './tc3.ts';

/** The key of the APIs of every test. */
export const KEY = { id: 'test', secret: 'a-secret-of-tests' };
/** What a caller who has it sends. */
export const WITH_KEY = { authorization: `Bearer ${KEY.id}:${KEY.secret}` } as const;

export const SETTINGS: GatewaySettings = {
  host: '127.0.0.1',
  httpPort: 0,
  grpcPort: 0,
  allowedHosts: [],
  accessKeys: [KEY],
  accessKeysMaxAgeMs: 60_000,
  isOpen: false,
  oidc: [],
  maxConnections: 8_192,
  maxConnectionsPerAddress: 2_048,
  maxPayloadBytes: 128 * 1024,
  isScfBehindTls: false,
  scfTimeZone: 'Asia/Shanghai',
};

/** Starts a gateway over fakes, for the tests of one file. */
export function openApis(settings: Partial<GatewaySettings> = {}): {
  readonly world: World;
  readonly gateway: RunningGateway;
  readonly url: string;
} {
  const apis = { world: fakeWorld(), gateway: undefined as RunningGateway | undefined };
  before(async () => {
    apis.gateway = await startGateway(apis.world.ports, { ...SETTINGS, ...settings });
    await answerCheck(); // before tests that depend on time
  });
  beforeEach(() => {
    apis.world.queueFailure = undefined;
    apis.world.accepted.length = 0;
  });
  after(() => apis.gateway?.stop());
  const gateway = (): RunningGateway => {
    if (!apis.gateway) throw new Error('not started yet');
    return apis.gateway;
  };
  return {
    world: apis.world,
    get gateway() {
      return gateway();
    },
    get url() {
      return `http://127.0.0.1:${gateway().httpPort}`;
    },
  };
}

/** Calls an action of SCF, signed with the key of the tests. */
export function callScf(url: string, action: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const bytes = body === undefined ? '' : typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const contentType = headers['content-type'] ?? 'application/json';
  const signed = tc3Headers({ ...KEY, host: new URL(url).host, body: bytes, contentType });
  const untyped = body === undefined ? { 'content-type': '' } : {};
  return call(`${url}/`, 'POST', body, { ...signed, ...untyped, 'x-tc-action': action, 'x-tc-version': '2018-04-16', ...headers });
}

/** What a REST call came to. */
export type Answer = { readonly status: number; readonly headers: Headers; readonly text: string; readonly json: unknown };

let check: Promise<AnswerCheck> | undefined;

/** Every answer that a test receives from the REST API is as the OpenAPI document describes it. The document does not depend on settings. */
function answerCheck(): Promise<AnswerCheck> {
  const document = async (): Promise<AnswerCheck> => {
    const gateway = await startGateway(fakeWorld().ports, SETTINGS);
    try {
      const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/openapi.json`, { headers: WITH_KEY });
      return createAnswerCheck(await response.json());
    } finally {
      await gateway.stop();
    }
  };
  return (check ??= document());
}

/** Calls the REST API with the key of the tests, unless the headers say otherwise; an `authorization` or a `content-type` that is empty is left out. A body that is an object is sent as JSON. */
export async function call(url: string, method: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  const sent = new Headers({
    'evenfall-client': 'test',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...WITH_KEY,
    ...headers,
  });
  for (const name of ['authorization', 'content-type']) if (headers[name] === '') sent.delete(name);
  const response = await fetch(url, {
    method,
    headers: sent,
    ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
  });
  const text = await response.text();
  const { pathname } = new URL(url);
  const contentType = response.headers.get('content-type') ?? '';
  if (pathname.startsWith('/v1/')) (await answerCheck()).check({ method, path: pathname, status: response.status, contentType, text });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined; // not every answer is JSON; the test looks at the text then
  }
  return { status: response.status, headers: response.headers, text, json };
}
