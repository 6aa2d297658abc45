import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rm } from 'node:fs';
import { rm as removeFolder } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { SignalScope, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import type { InstanceProcess, ProcessDriver, ProcessEvents, ProcessSpec } from '../../ports.ts';
import { type Cgroups, openCgroups } from './cgroup.ts';
import type { StartFault } from '../../domain/instance-life.ts';
import { environmentOf } from './environment.ts';
import type { Interpreters } from './interpreters.ts';
import { readResidentBytes, readStat, readStatus } from './proc-fs.ts';
import { continueStopped, descendantsOf, isStopped, sweepAgent, sweepInstance } from './sweep.ts';

export type ProcessDriverOptions = { readonly agentId: string; readonly temporaryRoot: string; readonly interpreters: Interpreters };

const SIGCONT = 18;

/** Runs every instance as a process group of its own on this host. */
export function processDriver(options: ProcessDriverOptions): ProcessDriver {
  const cgroups = openCgroups(`${options.agentId}-${createHash('sha256').update(options.temporaryRoot).digest('hex').slice(0, 8)}`);
  return {
    start: (spec, events) => startProcess(options, cgroups, spec, events),
    async sweepEarlierSessions() {
      const count = await sweepAgent(options.agentId, options.temporaryRoot);
      await emptyFolder(options.temporaryRoot); // nobody is left to use it
      return count;
    },
    close: () => cgroups?.close(),
  };
}

function startProcess(
  options: ProcessDriverOptions,
  cgroups: Cgroups | undefined,
  spec: ProcessSpec,
  events: ProcessEvents,
): InstanceProcess | StartFault {
  const command = options.interpreters.commandOf(spec.fn, spec.codeDir);
  if ('statusCode' in command) return command;
  const temporaryDir = join(options.temporaryRoot, spec.instanceId);
  mkdirSync(temporaryDir, { recursive: true });
  const environment = environmentOf({ ...spec, agentId: options.agentId, home: options.temporaryRoot, temporaryDir });
  const child = spawn(command.program, command.args, {
    cwd: spec.codeDir,
    env: environment,
    detached: true, // its own session and group: one kill reaches all of it
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const [, stdout, stderr] = child.stdio;
  const channel = child.stdio[3] as Duplex; // 'pipe' makes a socket pair: both directions
  const pid = child.pid ?? 0;
  const contained = pid === 0 ? undefined : cgroups?.create(spec.instanceId, pid);
  const cgroup = contained?.cgroup;
  const startTicks = pid === 0 ? '' : (readStat(pid)?.startTicks ?? '');
  let alive = pid !== 0;
  let descendants: ReadonlyMap<number, string> = new Map();
  let openOutputs = 2;
  let onOutputEnd: (() => void) | undefined;

  // The package's own program waits for a line on its channel: none of its code runs before it is contained.
  const openGate = (): void => void channel.write('\n');
  if (command.gated && contained) void contained.joined.then(openGate);
  else if (command.gated) openGate();
  channel.on('data', (chunk: Buffer) => events.onChannel(chunk));
  channel.on('error', () => undefined); // EPIPE of a process that is gone: its exit is the news
  const outputEnded = (): void => {
    openOutputs -= 1;
    if (openOutputs === 0) onOutputEnd?.();
  };
  stdout?.on('data', (chunk: Buffer) => events.onOutput('stdout', chunk));
  stderr?.on('data', (chunk: Buffer) => events.onOutput('stderr', chunk));
  for (const stream of [stdout, stderr]) {
    stream?.on('error', () => undefined);
    stream?.on('close', outputEnded);
  }
  child.on('error', (error) => {
    if (pid === 0) events.onExit(null, null, error.message);
  });
  // Signals cannot hit a stranger: until the child is reaped its number, and that of its group, is not given to anybody else, and libuv
  // reaps it and calls this in the same breath. From here on nothing is sent to the number; the sweep goes by number and start.
  child.on('exit', (code, signal) => {
    alive = false;
    events.onExit(code, signal, undefined);
  });

  const deliver = (target: number, signal: number): Delivery => {
    if (!alive) return Delivery.NO_PROCESS;
    try {
      process.kill(target, signal);
      return Delivery.DELIVERED;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM' ? Delivery.DENIED : Delivery.NO_PROCESS;
    }
  };
  return {
    pid,
    contained: command.gated ? undefined : contained?.joined,
    containment: () => (cgroup?.complete ? 'CGROUP' : 'MARKERS'),
    write: (bytes) => channel.write(bytes),
    signal(signal, scope) {
      // A stopped process takes the signal but acts on it only once it runs again. SIGCONT goes to nobody who is not stopped: it can be caught.
      if (alive && isStopped(readStat(pid))) deliver(-pid, SIGCONT);
      else if (alive && scope === SignalScope.GROUP) continueStopped(pid);
      return deliver(scope === SignalScope.GROUP ? -pid : pid, signal);
    },
    killGroup() {
      if (!alive) return;
      if (!cgroup) descendants = descendantsOf(pid);
      deliver(-pid, 9);
    },
    status: () => (alive ? readStatus(pid) : undefined),
    residentBytes: () => (cgroup ? cgroup.pids() : [pid]).reduce((sum, each) => sum + readResidentBytes(each), 0),
    async sweep() {
      const swept = await sweepInstance({ instanceId: spec.instanceId, leaderPid: pid, leaderStart: startTicks, cgroup, descendants });
      // Nothing can write any more: what the pipes still hold ends with their end. Bounded, should a stranger hold one open.
      if (openOutputs > 0) await within(200, (done) => (onOutputEnd = done));
      for (const stream of [stdout, stderr, channel]) stream?.destroy();
      rm(temporaryDir, { recursive: true, force: true }, () => undefined);
      return swept;
    },
  };
}

async function emptyFolder(path: string): Promise<void> {
  await removeFolder(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
}

function within(ms: number, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    start(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
