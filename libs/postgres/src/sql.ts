import type postgres from 'postgres';

/** A pool; call it as a template tag. Values of type int8 come back as bigint. */
export type Sql = postgres.Sql<{ bigint: bigint }>;
