import { createServer } from 'node:http';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

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

/** Serves `/metrics` in the Prometheus text form. */
export async function startMetricsServer(host: string, port: number): Promise<MetricsServer> {
  const exporter = installMetrics();
  const server = createServer((request, response) => {
    if (request.url === '/metrics') exporter.getMetricsRequestHandler(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
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
