import { backoffMs } from '@evenfall/time';
import type { Socket } from 'node:net';
import type { Sql } from './sql.ts';

/** What a generation of a pool is opened with. */
export type Hooks = {
  /** Opens the socket of a connection. Throws where there shall be no more of them, which rejects the statement that waits for it. */
  openSocket(connectNow: () => Socket): Promise<Socket>;
  onClose(): void;
};

/** How long a statement in flight on an open connection may take once another connection of its pool has closed, in seconds. */
const FINISH_SECONDS = 2;
const RENEWAL = { firstMs: 50, mostMs: 500 };
/** A generation that lived for so long had connected: the next one tries at once. */
const LIVED_MS = 1_000;

type Generation = {
  readonly sql: Sql;
  /** Opens no more connections: statements that wait for one are rejected. */
  close(): void;
  /** Waits for what is in flight, for so long at most, and rejects the rest. */
  end(timeoutSeconds: number): Promise<void>;
};

const UNHOOKED: Hooks = { openSocket: (connectNow) => Promise.resolve(connectNow()), onClose: () => undefined };

const renewals = new WeakMap<Sql, () => void>();

/**
 * A pool that never uses a connection object of postgres.js again once its connection has closed. Between the `error` and the `close` of a
 * socket that was reset, postgres.js (3.4.9) still accepts statements for it, and rejects none of them when it closes: after the reconnection
 * such a statement waits for an answer that never comes, and takes the answer of the next one. And a statement of less than 1 KiB that is
 * written in the turn in which the socket closes leaves its timer behind, after which the object sends nothing below 1 KiB. So each time a
 * connection closes, a new generation of the pool takes the statements from then on, and the old one is ended, which settles all of its own.
 */
export function createRenewingPool(max: number, open: (hooks: Hooks) => Sql, onClose: (() => void) | undefined): Sql {
  const ends = new Set<Promise<void>>();
  let isEnded = false;
  const pacing = createPacing();
  let listening: Sql | undefined;

  const openGeneration = (): Generation => {
    const sockets = new Set<Socket>();
    let opened = 0;
    let isOver = false;
    const renewThis = (): void => {
      if (generation === current) renew();
    };
    const openSocket: Hooks['openSocket'] = async (connectNow) => {
      const waitMs = pacing.waitMs();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      // Each object connects once. postgres.js connects again by itself, without a pause, where a server accepts and hangs up.
      if (opened++ === max) renewThis();
      if (isOver) throw Object.assign(new Error('The connections of this pool have been closed'), { code: 'CONNECTION_CLOSED' });
      const socket = connectNow();
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
        renewThis();
      });
      return socket;
    };
    const sql = open({
      openSocket,
      onClose() {
        onClose?.();
        renewThis();
      },
    });
    const generation: Generation = {
      sql,
      close() {
        isOver = true;
      },
      async end(timeoutSeconds) {
        await sql.end({ timeout: timeoutSeconds });
        isOver = true;
        // One that was still connecting is not closed by `end`.
        for (const socket of sockets) socket.destroy();
      },
    };
    return generation;
  };
  let current = openGeneration();

  const retire = (generation: Generation, timeoutSeconds: number): void => {
    generation.close();
    const ending = generation.end(timeoutSeconds).finally(() => ends.delete(ending));
    ends.add(ending);
  };
  const renew = (timeoutSeconds = max === 1 ? 0 : FINISH_SECONDS): void => {
    if (isEnded) return;
    pacing.noteRenewal();
    const old = current;
    current = openGeneration();
    retire(old, timeoutSeconds);
  };
  const end: Sql['end'] = async (options) => {
    isEnded = true;
    const timeout = options?.timeout ?? FINISH_SECONDS;
    await Promise.all([current.end(timeout), listening?.end({ timeout }), ...ends]);
  };
  // A connection that listens looks after itself: postgres.js sends nothing on it but LISTEN, when it is new.
  const listen: Sql['listen'] = (...args) => (listening ??= open(UNHOOKED)).listen(...args);

  const target = (() => undefined) as unknown as Sql; // called and read only through the handler
  const pool = new Proxy(target, {
    apply: (_target, _this, args) => Reflect.apply(current.sql, undefined, args) as unknown,
    get: (_target, name) => (name === 'end' ? end : name === 'listen' ? listen : (Reflect.get(current.sql, name) as unknown)),
  });
  renewals.set(pool, () => renew(0));
  return pool;
}

/** When a generation may connect: at once, or after a pause that grows while generations end soon after they were opened. */
function createPacing() {
  let openedMs = performance.now();
  let failures = 0;
  let notBeforeMs = 0;
  return {
    waitMs: (): number => notBeforeMs - performance.now(),
    noteRenewal(): void {
      const nowMs = performance.now();
      failures = nowMs - openedMs < LIVED_MS ? failures + 1 : 0;
      notBeforeMs = failures === 0 ? 0 : nowMs + backoffMs(RENEWAL, failures);
      openedMs = Math.max(nowMs, notBeforeMs);
    },
  };
}

/** Gives up every statement that is in flight on a pool, and opens its connections anew. For a server that has stopped answering. */
export function renewPool(sql: Sql): void {
  renewals.get(sql)?.();
}
