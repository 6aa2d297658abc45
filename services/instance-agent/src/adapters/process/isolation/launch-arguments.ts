import { bubblewrapArguments, terminalsOf } from './bubblewrap.ts';
import { gvisorArguments, hostTasksOf, writeGvisorConfig } from './gvisor.ts';
import type { UserLimits } from '../../../domain/user-share.ts';
import type { Gvisor, Launch, LaunchOptions } from './launch.ts';
import { mountSteps } from './mount-steps.ts';

const MAX_FILES = 1024;

/** The complete command. */
export function launchArguments(launch: Launch, words: readonly string[], terms: LaunchOptions): string[] {
  const { launcher, boundary, gvisor } = launch;
  if (gvisor) return insideGvisor(launch, gvisor, words, terms);
  const common = [...userArguments(terms), ...limitArguments(launch, terms), ...programArguments(words, terms)];
  const { network } = terms;
  if (boundary === 'BUBBLEWRAP') {
    // An agent that cannot make mounts before bubblewrap does leaves terminals without a bound: an ordinary user in the host's network.
    const terminals = launch.ownUsers || network?.ownerFd !== undefined ? terminalsOf(terms) : undefined;
    const before = [launcher, '--before-sandbox', String(network?.fd ?? 'none'), String(network?.ownerFd ?? 'none'), terminals ?? 'none'];
    return [...before, ...bubblewrapArguments(launch, terms, terminals), '--', launcher, '--init', ...common];
  }
  return [launcher, ...outerArguments(terms), ...namespaceArguments(launch, terms), ...shareArguments(launch), ...common];
}

/**
 * The launcher twice: outside it makes the namespaces, within which the sandbox runs as the instance's user; inside it is the sandbox's init, which gets its
 * channel and its messages from the one outside. The filter is for the inner one: a sandbox makes namespaces and traces processes.
 */
function insideGvisor(launch: Launch, gvisor: Gvisor, words: readonly string[], terms: LaunchOptions): string[] {
  const inner = [
    launch.launcher,
    '--init',
    '--handed',
    ...innerUserArguments(terms),
    ...limitArguments(launch, terms),
    ...programArguments(words, terms),
  ];
  const config = writeGvisorConfig(launch, inner, terms);
  const handed = (terms.handed ?? []).flatMap((fd) => ['--hand-on', String(fd)]);
  const once = terms.isOnce ? ['--once'] : [];
  const boundary = namespaceArguments(launch, terms, config);
  const most = ['--max-processes', String(hostTasksOf(terms.maxProcesses))];
  return [
    launch.launcher,
    ...outerArguments(terms),
    ...boundary,
    ...userArguments(terms),
    ...most,
    ...handed,
    ...once,
    '--',
    ...gvisorArguments(gvisor),
  ];
}

function outerArguments(terms: LaunchOptions): string[] {
  return ['--parent', String(process.pid), ...terms.cgroups.flatMap((folder) => ['--cgroup', folder]), ...networkArguments(terms)];
}

function userArguments({ uid }: LaunchOptions): string[] {
  return uid === undefined ? [] : ['--user', String(uid)];
}

/** Root in the sandbox is the instance's user outside, the only one whose files it can make; the function sees the number that it has outside. */
function innerUserArguments({ uid }: LaunchOptions): string[] {
  return ['--namespaces', 'user', '--user-inside', String(uid ?? process.getuid?.() ?? 0)];
}

function programArguments(words: readonly string[], { codeDir, isOnce }: LaunchOptions): string[] {
  return ['--cwd', codeDir, ...(isOnce ? ['--once'] : []), '--', ...words];
}

/** An option for each of them that is known. */
const SHARE_OPTIONS = {
  pending: '--max-pending',
  queueBytes: '--max-queue-bytes',
  inotify: '--max-inotify',
  inotifyWatches: '--max-inotify-watches',
  watches: '--max-watches',
} as const;

function shareArguments({ shares }: Launch): string[] {
  if (!shares) return [];
  return Object.entries(SHARE_OPTIONS).flatMap(([name, option]) => {
    const share = shares[name as keyof UserLimits]; // the keys of the table above
    return share === undefined ? [] : [option, String(share)];
  });
}

function limitArguments({ boundary, filters }: Launch, { uid, keepsChannel, maxProcesses }: LaunchOptions): string[] {
  // The kernel counts processes by user, and by user namespace (Linux 5.14): it must be the instance's own.
  const isCounted = uid !== undefined || boundary === 'USER_NAMESPACE' || boundary === 'BUBBLEWRAP';
  return [
    ...['--max-files', String(MAX_FILES)],
    ...(isCounted ? ['--max-processes', String(maxProcesses)] : []),
    ...(filters ? ['--filter'] : []),
    ...(keepsChannel ? ['--keep-channel'] : []),
  ];
}

function networkArguments({ network }: LaunchOptions): string[] {
  if (!network) return [];
  return ['--network', String(network.fd), ...(network.ownerFd === undefined ? [] : ['--network-owner', String(network.ownerFd)])];
}

function namespaceArguments(launch: Launch, terms: LaunchOptions, gvisorConfig?: string): string[] {
  if (launch.boundary === 'NONE') return [];
  const kinds = ['mount', 'pid', 'ipc', 'uts'];
  if (launch.boundary === 'USER_NAMESPACE') kinds.unshift('user');
  if (launch.network === 'none') kinds.push('net');
  const ahead = terms.isAhead ? ['--code-root', terms.codeDir] : [];
  return [
    '--namespaces',
    kinds.join(),
    gvisorConfig === undefined ? '--proc' : '--bare-proc',
    ...ahead,
    ...mountSteps(launch, terms, gvisorConfig),
  ];
}
