export { createPool, socketUrl, type PoolOptions, type PostgresTarget } from './pool.ts';
export type { Sql } from './sql.ts';
export { ask, part, raw, type Part } from './statement.ts';
export { answered } from './answered.ts';
export { rowsOf } from './rows-of.ts';
export { migrate, type MigrateOptions } from './migrate.ts';
export { postgresRefusal, isConnectionFailure, isDataRefused } from './failures.ts';
export { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded/server.ts';
