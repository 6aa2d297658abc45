export { hostAndPort, runService } from './run-service.ts';
export type { AnyConfig, CalledService, Environment, ReadyWords, ServiceContext, ServiceDescriptor, Startable } from './descriptor.ts';
export { configured, type Configured, createOneProcess, type OneProcess } from './one-process.ts';
export { openPool, type Patience } from './open-pool.ts';
export { openEventLog, openTopics, type EventLogDeps } from './open-event-log.ts';
export { internalGuard, internalHeaders } from './internal-key.ts';
export { watchDependencies, readinessOf, type Dependencies, type Dependency } from './dependencies.ts';
