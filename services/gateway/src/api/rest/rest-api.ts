import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import type { HttpApi } from '../http/server.ts';
import type { Gateway } from '../../ports.ts';
import { accessKeyRoutes } from './access-keys/routes.ts';
import { agentTokenRoutes } from './agent-tokens/routes.ts';
import { auditRoutes } from './audit/routes.ts';
import { concurrencyRoutes } from './concurrency/routes.ts';
import { deadLetterRoutes } from './dead-letters/routes.ts';
import { eventRoutes } from './events/routes.ts';
import { functionRoutes } from './functions/routes.ts';
import { invocationRoutes } from './invocations/routes.ts';
import { logRoutes } from './logs/routes.ts';
import { describeApi } from './openapi.ts';
import { PAGE_KEY_SCRIPT } from './page-key.ts';
import { quotaRoutes } from './quotas/routes.ts';
import type { RestPlugin } from './rest-plugin.ts';
import { retentionRoutes } from './retention/routes.ts';
import { workerRoutes } from './workers/routes.ts';

const RESOURCES: readonly RestPlugin[] = [
  functionRoutes,
  concurrencyRoutes,
  eventRoutes,
  deadLetterRoutes,
  accessKeyRoutes,
  agentTokenRoutes,
  quotaRoutes,
  auditRoutes,
  logRoutes,
  invocationRoutes,
  workerRoutes,
  retentionRoutes,
];

/** Where pages are: what is there is the same for every caller, and holds no data. */
const PAGES = '/docs';
const PAGE_FILES = new Set([PAGES, `${PAGES}/`, `${PAGES}/static/*`, `${PAGES}/static/index.html`]);
/** Routes that answer without an access key: a browser has none before a page has given it one, and probes never have. */
const isOpen = (url: string): boolean =>
  url === '/healthz' || url === '/readyz' || PAGE_FILES.has(url) || url.startsWith(`${PAGES}/static/theme/`);

/** What `/readyz` reports. */
export type Readiness = {
  /** What has to come before calls can be served; empty when ready. */
  readonly waitsFor: () => readonly string[];
  /** What keeps accepted events from running or being read. */
  readonly faults: () => readonly string[];
  /** What an operator may want to know although calls are served. */
  readonly notes: () => readonly string[];
};

/** The REST API: a folder of routes for every resource, the OpenAPI document of all of them, pages that show it, and the probes. */
export function restApi(gateway: Gateway, readiness: Readiness): HttpApi {
  return {
    register: (app, { closing, unexpected }) => {
      void app.register(async (rest) => {
        rest.addHook('onRoute', (route) => {
          const isPage = route.url === PAGES || route.url.startsWith(`${PAGES}/`);
          route.config = { ...route.config, isPage, isOpen: isOpen(route.url) };
        });
        await describeApi(rest);
        await addPages(rest);
        for (const resource of RESOURCES) void rest.register(resource, { gateway, closing, unexpected });
        rest.get('/openapi.json', { schema: { hide: true } }, async () => rest.swagger());
        addProbes(rest, readiness);
      });
    },
  };
}

async function addPages(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: PAGES,
    theme: {
      title: 'Evenfall',
      css: [{ filename: 'evenfall.css', content: '.swagger-ui .topbar { display: none }' }],
      js: [{ filename: 'key.js', content: PAGE_KEY_SCRIPT }],
    },
    staticCSP: true,
    // The server speaks HTTP: a browser that upgrades requests would load the page's own scripts over HTTPS, which is not served.
    transformStaticCSP: (policy) =>
      policy
        .replace('upgrade-insecure-requests;', '')
        .replaceAll(' https:', '')
        .replace(' validator.swagger.io', '')
        .replace("frame-ancestors 'self'", "frame-ancestors 'none'"),
  });
}

function addProbes(app: FastifyInstance, readiness: Readiness): void {
  app.get('/healthz', { schema: { hide: true } }, async () => ({ status: 'ok' }));
  app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
    const [waitsFor, faults, notes] = [readiness.waitsFor(), readiness.faults(), readiness.notes()];
    const more = notes.length > 0 ? { notes } : {};
    if (waitsFor.length + faults.length === 0) return { status: 'ready', ...more };
    return reply.code(503).send({ status: 'not ready', waits_for: waitsFor, faults, ...more });
  });
}
