import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How a process ended: its exit code, or the signal. */
export type Exit = number | NodeJS.Signals;

/** One process of a cluster. A restart makes another process of the same name, on the same addresses and data. */
export type ClusterProcess = {
  /** As in "queue-1". */
  readonly name: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** What its ready line said: `grpc`, `http`, `metrics`, `agent`, `url` … Empty until it is ready. */
  readonly addresses: Readonly<Record<string, string>>;
  /** What it wrote to stderr, the end of it. */
  stderr(): string;
  /** Starts it, if it does not run; does not wait until it is ready. */
  start(): void;
  /** Resolves once it has said that it is ready; rejects if it ends first. */
  ready(): Promise<void>;
  /** Resolves when the process that runs now has ended. */
  exited(): Promise<Exit>;
  /** Kills it, and what it keeps, at once. */
  kill9(): Promise<void>;
  /** Pauses it: its connections stay, and it is silent. */
  pause(): void;
  resume(): void;
  /** Stops it in order; answers how it ended. */
  stop(): Promise<Exit>;
  /** Stops it, if it runs, starts it again, and waits until it is ready. */
  restart(): Promise<void>;
};

export type ProcessSpec = {
  readonly name: string;
  /** Program and arguments for this Node. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** How long it may take until it is ready. */
  readonly readyWithinMs: number;
  /** How long stopping may take before it is killed. */
  readonly stopWithinMs: number;
  onLine(name: string, line: string): void;
  /** Called when it ends without being stopped. */
  onDeath(process: ClusterProcess, exit: Exit): void;
};

type Run = {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  readonly ready: Promise<void>;
  isReported: boolean;
};

const KEPT_STDERR = 64 * 1024;

/** Makes a process; it is not started yet. Its stdin is held open: it stops by itself when the process that started it is gone. */
export function clusterProcess(spec: ProcessSpec): ClusterProcess {
  let run: Run | undefined;
  let stderr = '';
  let addresses: Record<string, string> = {};
  const isAlive = (): boolean => run !== undefined && run.child.exitCode === null && run.child.signalCode === null;

  const start = (): Run => {
    addresses = {};
    const { child, exited, ready } = spawnProcess(spec, {
      stderr: () => stderr,
      onErrorLine: (line) => (stderr = `${stderr}${line}\n`.slice(-KEPT_STDERR)),
      onReady: (found) => (addresses = found),
    });
    const started: Run = { child, exited, ready, isReported: false };
    void exited.then((exit) => {
      if (!started.isReported) spec.onDeath(self, exit);
    });
    return started;
  };
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of [run?.child.pid, name === 'SIGTERM' ? undefined : Number(addresses['server_pid'])]) {
      if (pid === undefined || !(pid > 1)) continue;
      try {
        process.kill(pid, name);
      } catch {
        // it has gone
      }
    }
  };
  const running = (): Run => {
    if (!run) throw new Error(`${spec.name} was never started`);
    return run;
  };
  const self: ClusterProcess = {
    name: spec.name,
    get pid() {
      return run?.child.pid ?? 0;
    },
    get isRunning() {
      return isAlive();
    },
    get addresses() {
      return addresses;
    },
    stderr: () => stderr,
    start() {
      if (!isAlive()) run = start();
    },
    ready: () => running().ready,
    exited: () => running().exited,
    async kill9() {
      if (!isAlive()) return;
      running().isReported = true;
      signal('SIGKILL');
      await running().exited;
    },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async stop() {
      if (!isAlive()) return run ? run.exited : 0;
      running().isReported = true;
      signal('SIGCONT'); // a paused process cannot stop
      signal('SIGTERM');
      const late = setTimeout(() => signal('SIGKILL'), spec.stopWithinMs);
      const exit = await running().exited;
      clearTimeout(late);
      return exit;
    },
    async restart() {
      await self.stop();
      self.start();
      await self.ready();
    },
  };
  return self;
}

type SpawnHooks = {
  stderr(): string;
  onErrorLine(line: string): void;
  onReady(addresses: Record<string, string>): void;
};

function spawnProcess(spec: ProcessSpec, { stderr, onErrorLine, onReady }: SpawnHooks): Omit<Run, 'isReported'> {
  // A session of its own: a Ctrl-C in the terminal is for the process that started it.
  const child = spawn(process.execPath, spec.args, { stdio: ['pipe', 'pipe', 'pipe'], env: spec.env, detached: true });
  child.stdin.on('error', () => undefined); // nothing is ever written
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as Exit);
  createInterface({ input: child.stderr }).on('line', (line) => {
    onErrorLine(line);
    spec.onLine(spec.name, line);
  });
  const ready = new Promise<void>((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`${spec.name} is not ready after ${spec.readyWithinMs} ms:\n${stderr()}`)),
      spec.readyWithinMs,
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      const words = /^evenfall-\S+ ready (.*)$/.exec(line)?.[1];
      if (words === undefined) return;
      onReady(Object.fromEntries(words.split(' ').map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)])));
      clearTimeout(late);
      resolve();
    });
    void exited.then((exit) => {
      clearTimeout(late);
      reject(new Error(`${spec.name} ended with ${exit} before it was ready:\n${stderr()}`));
    });
  });
  ready.catch(() => undefined); // callers that wait get the error
  return { child, exited, ready };
}
