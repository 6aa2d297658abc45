import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isLoopback } from '@evenfall/config';
import { createGuard, SECURITY_HEADERS } from '@evenfall/request-guard';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

/** Whether a process can do its work, and if not, what it waits for. */
export type Readiness = {
  readonly isReady: boolean;
  readonly waitsFor: readonly string[];
  /** What it knows to go wrong with its own work. */
  readonly faults?: readonly string[];
};

/** The running endpoint. */
export type MetricsServer = { readonly port: number; stop(): Promise<void> };

let provider: { exporter: PrometheusExporter } | undefined;

/** Installs the metrics SDK; call before a service makes its counters. Twice is once. */
export function installMetrics(): PrometheusExporter {
  if (!provider) {
    const exporter = new PrometheusExporter({ preventServerStart: true });
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
    provider = { exporter };
  }
  return provider.exporter;
}

/** Where the endpoint is. */
export type MetricsAddress = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly metricsPort: number;
  /** Names it is called by, beside addresses and `localhost`. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Required of all callers for `/metrics`; without one only this machine gets them. */
  readonly metricsToken?: string | undefined;
};

/** Serves `/metrics` in the Prometheus text form, `/healthz`, and `/readyz`: 200, or 503 with what is waited for. */
export async function startMetricsServer(
  { host, metricsPort: port, allowedHosts = [], metricsToken }: MetricsAddress,
  readiness: () => Readiness = () => ({ isReady: true, waitsFor: [] }),
): Promise<MetricsServer> {
  const exporter = installMetrics();
  const guard = createGuard(allowedHosts);
  const mayRead = readerCheck(metricsToken);
  const server = createServer((request, response) => {
    const { method = '', url = '', rawHeaders } = request;
    const refusal = guard({ method, target: url, rawHeaders });
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    if (refusal)
      answer(response, refusal.httpStatus, { error: { code: refusal.httpStatus, status: refusal.status, message: refusal.message } });
    else if (request.url === '/metrics' && !mayRead(request)) {
      response.setHeader('www-authenticate', 'Bearer realm="evenfall metrics"');
      const message = 'Metrics are for this machine alone, or for who sends EVENFALL_METRICS_TOKEN as "Authorization: Bearer …".';
      answer(response, 401, { error: { code: 401, status: 'UNAUTHENTICATED', message } });
    } else if (request.url === '/metrics') exporter.getMetricsRequestHandler(request, response);
    else if (request.url === '/healthz') answer(response, 200, { status: 'ok' });
    else if (request.url === '/readyz') {
      const { isReady, waitsFor, faults = [] } = readiness();
      answer(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', waits_for: waitsFor, faults });
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host.replace(/^\[(.*)\]$/, '$1'), resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Metrics name functions and say how busy they are: they are for who has the token, and where none is set for this machine. Probes ask for neither. */
function readerCheck(token: string | undefined): (request: IncomingMessage) => boolean {
  if (token === undefined) return ({ socket }) => isLoopback(socket.remoteAddress ?? '');
  const expected = digestOf(`Bearer ${token}`);
  return ({ headers }) => timingSafeEqual(digestOf(headers.authorization ?? ''), expected);
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
