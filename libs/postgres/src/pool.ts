import { connect } from 'node:net';
import { OperatorError } from '@evenfall/errors';
import postgres from 'postgres';
import { createRenewingPool, type Hooks } from './renewing-pool.ts';
import type { Sql } from './sql.ts';
import { removeTls, type Tls } from './tls.ts';

/** Where a server is. */
export type PostgresTarget =
  | { readonly kind: 'url'; readonly url: string }
  | {
      readonly kind: 'socket';
      /** Folder of the unix socket. */
      readonly socketDir: string;
      readonly port: number;
      readonly user: string;
      readonly password: string;
      readonly database: string;
    };

export type PoolOptions = {
  /** Shown in pg_stat_activity. */
  readonly name: string;
  /** Connections at most. Default 4. */
  readonly max?: number;
  /** After so long the server gives a statement up. */
  readonly statementTimeoutMs?: number;
  /** Answers a commit before it is on disk: a crash of the server may undo the newest. For what can be made again. */
  readonly asyncCommit?: boolean;
  /** Called whenever a connection is lost: what was committed on it without waiting for the disk may be lost too. */
  readonly onClose?: () => void;
};

const DEFAULT_MAX = 4;

/** Opens a pool. Connects when first used. */
export function createPool(target: PostgresTarget, options: PoolOptions): Sql {
  const max = options.max ?? DEFAULT_MAX;
  return createRenewingPool(max, (hooks) => openWith(target, options, hooks), options.onClose);
}

function openWith(target: PostgresTarget, options: PoolOptions, hooks: Hooks): Sql {
  const common = {
    max: options.max ?? DEFAULT_MAX,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 5,
    // How long the next connection waits is up to the renewing pool; this one is for a connection that listens.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 0.5),
    types: { bigint: postgres.BigInt },
    onnotice: () => undefined,
    onclose: () => hooks.onClose(),
    connection: {
      application_name: `evenfall ${options.name}`,
      // Statements are prepared, and their plans kept, while tables are still small: one that reads a small table whole would go on doing so
      // when the table is large. Everything that is asked for by row has an index.
      enable_seqscan: 'off',
      // And a plan made for the values of one call costs more than it gains: half of what a small statement takes.
      plan_cache_mode: 'force_generic_plan',
      // No read takes as long; one that does has no caller any more, and occupies a connection.
      ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: String(options.statementTimeoutMs) }),
      ...(options.asyncCommit ? { synchronous_commit: 'off' } : {}),
    },
    // postgres.js leaves Nagle's algorithm on: up to 40 ms on a pipelined statement. The socket is handed over while it still connects: what
    // is written to it waits, and if it fails postgres.js gets an error. After a factory that fails it would never try again.
    socket: ({ host, port, path }: { host: string[]; port: number[]; path: string | false }) =>
      hooks.openSocket(() => {
        const socket = path ? connect(path) : connect(port[0] ?? 5432, host[0] ?? 'localhost');
        socket.setNoDelay(true);
        return socket;
      }),
  } as const;
  if (target.kind === 'socket') {
    return postgres({
      ...common,
      path: `${target.socketDir}/.s.PGSQL.${target.port}`,
      user: target.user,
      password: target.password,
      database: target.database,
    } as unknown as postgres.Options<{ bigint: postgres.PostgresType<bigint> }>); // `path` and `socket` are missing from the type, not from the code
  }
  const { url, socketPath, tls } = splitUrl(target.url);
  return postgres(url, {
    ...common,
    ...(socketPath === undefined ? { ssl: tls } : { path: socketPath }),
  } as unknown as postgres.Options<{ bigint: postgres.PostgresType<bigint> }>); // as above
}

/** Says where a unix socket is as libpq does, `postgres://user:password@/database?host=/folder`, which postgres.js does not read. */
export function socketUrl(target: Extract<PostgresTarget, { kind: 'socket' }>): string {
  const query = new URLSearchParams({ host: target.socketDir, port: String(target.port) });
  return `postgres://${encodeURIComponent(target.user)}:${encodeURIComponent(target.password)}@/${target.database}?${query.toString()}`;
}

function splitUrl(text: string): { readonly url: string; readonly socketPath: string | undefined; readonly tls: Tls } {
  if (/^[^/]*\/\/(?:[^/@]*@)?[^/?]*,/.test(text))
    throw new OperatorError('EVENFALL_POSTGRES_URL names several hosts; name one, or an address that follows the primary.');
  // A URL without a host is none for `URL`.
  const url = new URL(text.replace(/^(postgres(?:ql)?:\/\/(?:[^/@]*@)?)(?=[/?]|$)/, '$1localhost'));
  const host = url.searchParams.get('host');
  const tls = removeTls(url);
  if (!host?.startsWith('/')) return { url: url.toString(), socketPath: undefined, tls };
  const socketPath = `${host}/.s.PGSQL.${url.searchParams.get('port') ?? (url.port || '5432')}`;
  url.searchParams.delete('host');
  url.searchParams.delete('port');
  return { url: url.toString(), socketPath, tls: false };
}
