export { createLog, silentLog, type Log, type LogFields, type LogFormat, type LogLevel, type LogOptions } from './log.ts';
export { countable, type Counters, observable, type Observed } from './counters.ts';
export { installMetrics, startMetricsServer, type MetricsServer, type Readiness } from './metrics-server.ts';
export { createRepeats, type Repeats } from './repeats.ts';
