export { runService, hostAndPort, type AnyConfig, type Building, type ServiceSpec } from './run-service.ts';
export { openPool, type Patience } from './open-pool.ts';
export { openEventLog, openTopics, type EventLogDeps } from './open-event-log.ts';
export { internalGuard, internalHeaders } from './internal-key.ts';
export { watchDependencies, readinessOf, type Dependencies, type Dependency } from './dependencies.ts';
