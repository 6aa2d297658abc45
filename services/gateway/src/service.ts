import { readFileSync } from 'node:fs';
import { type Access, checkAccess } from '@evenfall/access';
import { refuse, type Refusal } from '@evenfall/errors';
import { CALL_LIMITS } from '@evenfall/function-model';
import { createGuard } from '@evenfall/request-guard';
import { startGrpcServer } from '@evenfall/rpc';
import { observable } from '@evenfall/telemetry';
import { systemClock } from '@evenfall/time';
import { largeBodies } from './adapters/bodies.ts';
import { createFunctionCache } from './adapters/function-cache.ts';
import { createKeyCache } from './adapters/key-cache.ts';
import { createQuotaCache } from './adapters/quota-cache.ts';
import { createQueueRouter } from './adapters/queue-router.ts';
import { createIssuers } from './adapters/oidc/issuers.ts';
import { authenticator, signerNamed } from './api/access.ts';
import { messageBounds } from './api/grpc/message-bounds.ts';
import { ruleOfPath } from './api/grpc/rights.ts';
import { publicServices } from './api/grpc/services.ts';
import { addressesOf, listenAlsoAt } from './api/http/listen-addresses.ts';
import { createHttpServer } from './api/http/server.ts';
import { type Readiness, restApi } from './api/rest/rest-api.ts';
import { scfApi } from './api/scf/scf-api.ts';
import { createUnauthenticatedCallers, type UnauthenticatedCount } from './api/unauthenticated-callers.ts';
import { createAdmission } from './flows/admit-events.ts';
import { scopedGateways } from './flows/scoped-gateway.ts';
import { createWaitingCounts } from './loops/count-waiting.ts';
import { createHealthWatch } from './loops/watch-health.ts';
import { createAuditTrail } from './loops/write-audit.ts';
import { checkOpenness, type GatewaySettings } from './config.ts';
import type { Gateway, GatewayPorts, KeyRing, Tokens } from './ports.ts';

export { accessKeyOf, GATEWAY_CHECKS, GATEWAY_SETTINGS, gatewaySettings, type GatewaySettings } from './config.ts';
export type { GatewayPorts } from './ports.ts';

/** The running APIs. */
export type RunningGateway = {
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Whether what it remembers of functions, keys and quotas is current. */
  isWatching(): boolean;
  stop(): Promise<void>;
};

/** Said at every start, by `/readyz` and by `evenfall doctor`. */
export const OPEN_NOTE = 'the APIs are open (EVENFALL_OPEN=yes): every program on this machine may do everything, without a key';
/** How long a connection over gRPC may stay without a call that was let in. */
const STRANGER_MS = 30_000;
/** Calls at the same time on one connection over gRPC; clients have further ones wait. */
const MAX_STREAMS = 100;
/** How long a connection over gRPC may stay without a call. */
const IDLE_MS = 300_000;
/** Services that reflection lists. */
const PUBLIC_SERVICES = [
  'evenfall.v1.FunctionService',
  'evenfall.v1.EventService',
  'evenfall.v1.InvocationService',
  'evenfall.v1.LogService',
  'evenfall.v1.OperatorService',
  'evenfall.v1.AccessKeyService',
  'evenfall.v1.QuotaService',
  'evenfall.v1.AuditService',
  'grpc.health.v1.Health',
];
/** How long open calls may take to end when the APIs stop. */
const STOP_GRACE_MS = 2_000;

/** Starts the APIs; `away` names the services behind them that do not answer, for `/readyz`. Rejects if a port is in use, or if the settings would give callers without a key access. */
export async function startGateway(
  ports: GatewayPorts,
  settings: GatewaySettings,
  away: () => readonly string[] = () => [],
): Promise<RunningGateway> {
  checkOpenness(settings);
  if (settings.isOpen) ports.log.warn(OPEN_NOTE, { setting: 'EVENFALL_OPEN' });
  const stopping = new AbortController();
  const cache = createFunctionCache(ports);
  const queue = createQueueRouter(ports);
  const bodies = largeBodies();
  const keyCache = createKeyCache(ports, settings.accessKeys, systemClock, settings.accessKeysMaxAgeMs);
  const tokens = settings.oidc.length === 0 ? undefined : createIssuers(settings.oidc, { clock: systemClock, log: ports.log });
  const keys = withTokens(keyCache, tokens);
  const gateway: Gateway = {
    ...ports,
    keys,
    queue,
    cache,
    clock: systemClock,
    bodies,
    limits: { maxPayloadBytes: settings.maxPayloadBytes, maxSyncPayloadBytes: CALL_LIMITS.payloadBytes },
  };
  const authenticate = authenticator(keys, settings.isOpen, systemClock.now, tokens);
  const quotas = createQuotaCache(ports);
  const waiting = createWaitingCounts(ports, systemClock, () => quotas);
  const scoped = scopedGateways(gateway, createAdmission(quotas, waiting, systemClock));
  const audit = createAuditTrail(ports);
  const guard = createGuard(settings.allowedHosts);
  const counts = countApis();
  observeAudit(audit);
  const unauthenticated = createUnauthenticatedCallers(settings, ports.log, counts.unauthenticated);
  const health = createHealthWatch(ports);
  const parts = [cache, queue, health, keyCache, quotas, waiting, audit, ...(tokens ? [tokens] : [])];
  const watching = Promise.all(parts.map((part) => part.run(stopping.signal)));
  const isWatching = (): boolean => cache.isWatching && keys.isWatching && quotas.isWatching;
  const readiness: Readiness = {
    waitsFor: () => [...new Set([...(isWatching() ? [] : ["the registry's watch"]), ...away()])],
    faults: health.faults,
    notes: () => [
      ...(settings.isOpen ? [OPEN_NOTE] : []),
      ...health.notes(),
      ...[keyCache.note()].filter((note) => note !== undefined),
      ...(tokens?.notes() ?? []),
    ],
  };
  const shared = { scoped, audit, unauthenticated, count: counts.rest };
  const scf = { signerOf: signerIn(keys), isOpen: settings.isOpen, isBehindTls: settings.isScfBehindTls, timeZone: settings.scfTimeZone };
  const http = await createHttpServer(gateway, {
    ...shared,
    guard,
    authenticate: authenticate.admit,
    closeGraceMs: STOP_GRACE_MS,
    apis: [restApi(gateway, readiness), scfApi({ ...scf, ...shared, gateway })],
  });
  try {
    const grpc = await startGrpcApi(gateway, settings, { scoped, audit, guard, authenticate, unauthenticated, count: counts.grpc });
    const httpPort = await listen(http, settings).catch(async (error: unknown) => {
      await grpc.stop(0);
      throw error;
    });
    return {
      httpPort,
      grpcPort: grpc.port,
      isWatching,
      async stop() {
        await Promise.all([http.close(), grpc.stop(STOP_GRACE_MS)]);
        await audit.flush().catch((error: unknown) => ports.log.error('audit records are lost', error));
        stopping.abort();
        await Promise.all([watching, bodies.close()]);
      },
    };
  } catch (error) {
    stopping.abort();
    await Promise.allSettled([http.close(), watching, bodies.close()]);
    throw error;
  }
}

/** What the gRPC API shares with the HTTP APIs. */
type GrpcParts = {
  readonly scoped: ReturnType<typeof scopedGateways>;
  readonly audit: ReturnType<typeof createAuditTrail>;
  readonly guard: ReturnType<typeof createGuard>;
  readonly authenticate: ReturnType<typeof authenticator>;
  readonly unauthenticated: ReturnType<typeof createUnauthenticatedCallers>;
  readonly count: ApiCount;
};

function startGrpcApi(
  gateway: Gateway,
  settings: GatewaySettings,
  { scoped, audit, guard, authenticate, unauthenticated, count }: GrpcParts,
): ReturnType<typeof startGrpcServer> {
  const accessOf = (context: { header(name: string): string | undefined }) => authenticate.admitted(context.header('authorization'));
  return startGrpcServer({
    host: settings.host,
    port: settings.grpcPort,
    services: publicServices(gateway, scoped, { accessOf, audit }),
    reflection: { image: readFileSync(new URL(import.meta.resolve('@evenfall/contracts/image.binpb'))), services: PUBLIC_SERVICES },
    guard,
    authorize(head) {
      count.request();
      const rule = ruleOfPath(head.path);
      const check = (access: Access): void => {
        if (rule) checkAccess(access, rule.action); // the namespace is in its messages, which are checked later
      };
      const access = authenticate.admit(head.header('authorization'));
      if (access instanceof Promise) return access.then(check);
      check(access);
      return undefined;
    },
    // A caller without a key does not guess keys, and neither does one with a valid key.
    delayMs: (head, refusal) =>
      refusal.status !== 'UNAUTHENTICATED' || head.header('authorization') === undefined
        ? 0
        : unauthenticated.reportWrongKey(head.address, 'grpc'),
    limits: {
      connections: { admit: unauthenticated.connections.admit, strangerMs: STRANGER_MS },
      maxStreams: MAX_STREAMS,
      idleMs: IDLE_MS,
      messages: messageBounds(gateway.limits),
    },
    onRefusal: count.refusal,
    onUnexpected: (error, method) => gateway.log.error('gRPC call failed', error, { method }),
  });
}

/** Listens on all addresses of the host; returns the port. */
async function listen(http: Awaited<ReturnType<typeof createHttpServer>>, { host, httpPort }: GatewaySettings): Promise<number> {
  const [first, ...more] = await addressesOf(host);
  await http.listen({ host: first, port: httpPort });
  for (const another of more) await listenAlsoAt(http.server, another);
  const address = http.server.address();
  return typeof address === 'object' && address ? address.port : httpPort;
}

/** Keys, and tokens beside them where there is an issuer: both end. */
function withTokens(keys: KeyRing, tokens: Tokens | undefined): KeyRing {
  if (!tokens) return keys;
  return {
    find: keys.find,
    isOwn: keys.isOwn,
    endOf: (access) => tokens.endOf(access) ?? keys.endOf(access),
    get isWatching() {
      return keys.isWatching;
    },
  };
}

function observeAudit(audit: { readonly droppedCount: number }): void {
  observable('gateway', {
    audit_dropped_total: {
      doc: 'Audit records that were dropped, and logged instead, because too many waited for the registry.',
      kind: 'counter',
      read: () => audit.droppedCount,
    },
  });
}

/** Finds the secrets of a key by its id, for signatures of SCF. */
function signerIn(keys: KeyRing): (id: string) => ReturnType<typeof signerNamed> {
  return (id) => {
    const signer = signerNamed(keys, id, systemClock.now());
    if (!signer && !keys.isWatching) throw refuse('SERVICE_UNAVAILABLE', { detail: 'access keys cannot be looked up' });
    return signer;
  };
}

type ApiCount = { request(): void; refusal(refusal: Refusal): void };

function countApis(): { readonly rest: ApiCount; readonly grpc: ApiCount; readonly unauthenticated: UnauthenticatedCount } {
  const requests = new Map([
    ['rest', 0],
    ['grpc', 0],
  ]);
  const refusals = new Map<string, number>();
  const unauthenticated = { delayedAnswers: 0, refusedConnections: 0 };
  observable('gateway', {
    requests_total: { doc: 'Requests, by API.', kind: 'counter', label: 'api', readEach: () => requests },
    held_answers_total: {
      doc: 'Answers to wrong access keys that were delayed: a client tries keys.',
      kind: 'counter',
      read: () => unauthenticated.delayedAnswers,
    },
    refused_connections_total: {
      doc: 'Connections that were closed because their address, or all together, had too many.',
      kind: 'counter',
      read: () => unauthenticated.refusedConnections,
    },
    refusals_total: { doc: 'Refusals, by reason.', kind: 'counter', label: 'reason', readEach: () => refusals },
  });
  const count = (api: string): ApiCount => ({
    request: () => void requests.set(api, (requests.get(api) ?? 0) + 1),
    refusal: ({ reason }) => void refusals.set(reason, (refusals.get(reason) ?? 0) + 1),
  });
  return {
    rest: count('rest'),
    grpc: count('grpc'),
    unauthenticated: {
      delayedAnswer: () => {
        unauthenticated.delayedAnswers++;
      },
      refusedConnection: () => {
        unauthenticated.refusedConnections++;
      },
    },
  };
}
