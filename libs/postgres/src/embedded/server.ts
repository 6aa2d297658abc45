import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { accessSync, chownSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OperatorError } from '@evenfall/errors';
import type { PostgresTarget } from '../pool.ts';
import { findBinaries, type PostgresBinaries } from './binaries.ts';
import { findIdentity, type Identity } from './identity.ts';
import { stopLeftover } from './leftover.ts';
import { lockFolder } from './lock.ts';

export type EmbeddedPostgresOptions = {
  /** Folder for the cluster, its password and its lock; made if missing. */
  readonly dir: string;
  /** Gives up durability for speed. Tests only. */
  readonly unsafeFast?: boolean;
  /** Another Postgres than the one npm installed. Tests only. */
  readonly binaries?: PostgresBinaries;
  /** Settings of the server, over its own. Tests only. */
  readonly settings?: Readonly<Record<string, string>>;
};

/** A server that belongs to this process. */
export type EmbeddedPostgres = {
  readonly target: PostgresTarget;
  /** Resolves if the server ends without being stopped. */
  readonly died: Promise<Error>;
  stop(): Promise<void>;
};

const PORT = 5432; // only part of the socket's file name: the server does not listen on TCP

/**
 * Starts a real Postgres on a unix socket, making its cluster the first time. Works as root and as an ordinary user. A server that a
 * killed predecessor left running is stopped first. The password keeps other users of the machine, functions among them, out.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dir = resolve(options.dir);
  makeFolder(dir);
  const lock = lockFolder(join(dir, 'lock'));
  let socketDir: string | undefined;
  try {
    const binaries = options.binaries ?? (await findBinaries());
    const identity = findIdentity();
    const cluster = join(dir, 'cluster');
    const password = passwordOf(join(dir, 'password'));
    own(dir, identity);
    if (!existsSync(join(cluster, 'PG_VERSION'))) await makeCluster(binaries.initdb, identity, cluster, password);
    await stopLeftover(cluster);
    const sockets = (socketDir = socketDirOf(dir, identity));
    const args = ['-D', cluster, ...settingsOf(sockets, options.unsafeFast ?? false, options.settings)];
    const server = start(binaries.postgres, args, identity);
    let stopping = false;
    const exited = new Promise<Error>((done) => {
      server.child.once('exit', (code, signal) => done(new Error(`Postgres ended by itself (${code ?? signal}):\n${server.tail()}`)));
      server.child.once('error', done);
    });
    const failed = await Promise.race([server.ready, exited]);
    if (failed instanceof Error)
      throw new OperatorError(`The embedded Postgres cannot start.\n${lastOutput(server.tail(), failed)}`, { cause: failed });
    return {
      target: { kind: 'socket', socketDir: sockets, port: PORT, user: 'evenfall', password, database: 'postgres' },
      died: exited.then((error) => (stopping ? new Promise<Error>(() => undefined) : error)),
      async stop() {
        stopping = true;
        server.child.kill('SIGINT'); // fast shutdown: ends sessions, keeps everything that was committed
        const late = setTimeout(() => server.child.kill('SIGQUIT'), 10_000);
        await exited;
        clearTimeout(late);
        rmSync(sockets, { recursive: true, force: true });
        lock.release();
      },
    };
  } catch (error) {
    if (socketDir) rmSync(socketDir, { recursive: true, force: true });
    lock.release();
    throw error;
  }
}

function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new OperatorError(`The data folder ${dir} cannot be made or written (${why}). Set EVENFALL_DATA_DIR to one that can.`, { cause });
  }
}

/** What the server said last, or why it could not even be run. */
function lastOutput(output: string, failed: Error): string {
  const lines = output.split('\n').filter((line) => /\b(FATAL|PANIC|HINT|DETAIL):/.test(line));
  return lines.length > 0
    ? lines.map((line) => `  ${line.replace(/^.*?\b(?=(FATAL|PANIC|HINT|DETAIL):)/, '')}`).join('\n')
    : `  ${output.trim() || failed.message}`;
}

function settingsOf(socketDir: string, unsafeFast: boolean, more: EmbeddedPostgresOptions['settings'] = {}): string[] {
  const settings: Record<string, string> = {
    listen_addresses: '',
    unix_socket_directories: socketDir,
    port: String(PORT),
    max_connections: '60',
    shared_buffers: '256MB',
    // One machine without replicas: less is written ahead.
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'error',
    ...(unsafeFast ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', shared_buffers: '64MB' } : {}),
    ...more,
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function start(program: string, args: readonly string[], identity: Identity) {
  const [command = program, ...rest] = [...identity.prefix, program, ...args];
  // Its own session: a Ctrl-C in the terminal is for Evenfall, which stops the server last.
  const child: ChildProcess = spawn(command, rest, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    env: { LC_ALL: 'C', TZ: 'UTC' },
    cwd: '/',
    ...ids(identity),
  });
  let text = '';
  const ready = new Promise<void>((resolve) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('utf8')).slice(-4096);
      if (text.includes('ready to accept connections')) resolve();
    });
  });
  return { child, ready, tail: () => text };
}

async function makeCluster(initdb: string, identity: Identity, cluster: string, password: string): Promise<void> {
  // Made beside and renamed: a killed first start leaves nothing that looks like a cluster.
  const making = `${cluster}.making`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { mode: 0o700 });
  const passwordFile = `${cluster}.pw`;
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  own(making, identity);
  own(passwordFile, identity);
  const args = [
    '-D',
    making,
    '-U',
    'evenfall',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '-E',
    'UTF8',
    '--locale=C',
    '--no-instructions',
  ];
  const [command = initdb, ...rest] = [...identity.prefix, initdb, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { LC_ALL: 'C', TZ: 'UTC' }, cwd: '/', ...ids(identity) });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  rmSync(passwordFile, { force: true });
  if (code !== 0) {
    const hint =
      identity.uid === undefined
        ? ''
        : '\nRoot cannot run Postgres and user namespaces are off here: every folder above the data folder and node_modules must be open to all (o+x), or set EVENFALL_POSTGRES_URL.';
    throw new OperatorError(`The embedded Postgres cannot make its cluster in ${making}:\n${output.trim()}${hint}`);
  }
  renameSync(making, cluster);
}

/** A unix socket's path has 107 bytes at most, so it cannot live under a data folder of any depth. */
function socketDirOf(dir: string, identity: Identity): string {
  const hash = createHash('sha256').update(dir).digest('hex').slice(0, 16);
  const socketDir = join(tmpdir(), `evenfall-${process.getuid?.() ?? 0}-${hash}`);
  rmSync(socketDir, { recursive: true, force: true });
  mkdirSync(socketDir, { recursive: true, mode: 0o700 });
  own(socketDir, identity);
  return socketDir;
}

function passwordOf(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

function own(path: string, identity: Identity): void {
  if (identity.uid !== undefined && identity.gid !== undefined) chownSync(path, identity.uid, identity.gid);
}

function ids(identity: Identity): { uid?: number; gid?: number } {
  return identity.uid === undefined || identity.gid === undefined ? {} : { uid: identity.uid, gid: identity.gid };
}
