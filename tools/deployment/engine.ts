import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { installPrograms, run, print } from './programs.ts';

/** Program → package of Debian. */
const PROGRAMS = {
  dockerd: 'docker.io',
  docker: 'docker.io',
  iptables: 'iptables',
  ip: 'iproute2',
  debootstrap: 'debootstrap',
  slirp4netns: 'slirp4netns',
} as const;

const START_MS = 60_000;
const STOP_MS = 60_000;

/** A Docker engine of this test alone. */
export type Engine = {
  /** For programs that speak to it: DOCKER_HOST, and DOCKER_CONFIG with the plugins of the client. */
  readonly env: NodeJS.ProcessEnv;
  /** Puts a program into the network that it publishes ports in. */
  inside(command: readonly string[]): string[];
  stop(): Promise<void>;
};

/**
 * Starts an engine whose state is all in a folder and whose network is a namespace of its own, with a way out in user space: its rules, bridges and
 * `ip_forward` are there, and the host's stay as they are.
 */
export async function startEngine(dir: string): Promise<Engine> {
  installPrograms(PROGRAMS);
  const [config, log] = [join(dir, 'config'), join(dir, 'dockerd.log')];
  mkdirSync(join(config, 'cli-plugins'), { recursive: true });
  const socket = `unix://${join(dir, 'docker.sock')}`;
  const output = openSync(log, 'a');
  // It waits for a line before it becomes the engine: until then there is no way out.
  const options = [
    '--data-root',
    join(dir, 'data'),
    '--exec-root',
    join(dir, 'exec'),
    '--pidfile',
    join(dir, 'docker.pid'),
    '--dns',
    '10.0.2.3',
  ];
  const daemon = spawn('unshare', ['--net', 'sh', '-c', 'read -r _ && exec dockerd "$@"', 'sh', ...options, '-H', socket], {
    stdio: ['pipe', output, output],
  });
  const pid = daemon.pid ?? 0;
  const network = `/proc/${pid}/ns/net`;
  await until(() => isOwnNetwork(network), 'a network of its own');
  const wayOut = spawn('slirp4netns', ['--configure', '--mtu=65520', '--disable-host-loopback', String(pid), 'tap0'], {
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  await until(() => run(['nsenter', `--net=${network}`, 'ip', 'route']).includes('default'), 'a way out');
  daemon.stdin?.end('go\n');
  const env = { ...process.env, DOCKER_HOST: socket, DOCKER_CONFIG: config };
  const stop = async (): Promise<void> => {
    await end(daemon);
    await end(wayOut);
  };
  try {
    await until(() => run(['docker', 'version', '--format', '{{.Server.Version}}'], { env }), 'an engine that answers');
  } catch (error) {
    await stop();
    throw new Error(`The engine does not start:\n${readFileSync(log, 'utf8').slice(-4_000)}`, { cause: error });
  }
  print(`engine ${run(['docker', 'version', '--format', '{{.Server.Version}}'], { env }).trim()} in ${dir}`);
  return { env, inside: (command) => ['nsenter', `--net=${network}`, ...command], stop };
}

function isOwnNetwork(network: string): boolean {
  return run(['readlink', network]) !== run(['readlink', '/proc/self/ns/net']);
}

async function until(check: () => unknown, what: string): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      if (check()) return;
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`There is not ${what}.`, { cause: error });
    }
    if (performance.now() > deadline) throw new Error(`There is not ${what}.`);
    await pause(200);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}
