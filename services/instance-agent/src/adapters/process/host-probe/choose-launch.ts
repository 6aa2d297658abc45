import { lstatSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { OperatorError } from '@evenfall/errors';
import { foldersDownTo } from '../../../domain/mount-plan.ts';
import type { Ability } from '../../../domain/ability.ts';
import type { ClaimedUids } from '../isolation/claim-uids.ts';
import { findProgram } from '../launch/find-program.ts';
import { examineGvisor } from '../isolation/gvisor.ts';
import { userShares } from '../../../domain/user-share.ts';
import type { Interpreters } from '../launch/interpreters.ts';
import { hasPrivateTmp, type Launch } from '../isolation/launch.ts';
import { trialFault } from './try-launch.ts';
import { readUserLimits } from '../isolation/user-limits.ts';

export type Sandbox = 'auto' | 'process' | 'bubblewrap' | 'gvisor' | 'none';

type ClaimedIds = { readonly first: number; readonly last: number } & Partial<Pick<ClaimedUids, 'lost' | 'sweptCount'>>;

export type SandboxRequest = {
  readonly sandbox: Sandbox;
  /** Set if the launch must take the network away, because the agent cannot make instances one of their own: why it cannot. */
  readonly cutsNetwork: string | undefined;
  /** Whether the platform is reached from this host alone: only then may an ordinary user's functions run without a sandbox unless that was requested. */
  readonly isLocal: boolean;
  /** How many instances there can be at once, by their memory. */
  readonly mostInstances: number;
  /** User ids that only this agent uses; undefined if it is not root. */
  readonly uids: ClaimedIds | undefined;
};

export type HostFolders = {
  /** All of these exist and are without links. */
  readonly dataDir: string;
  /** Others of the platform's. */
  readonly hidden: readonly string[];
  readonly temporaryRoot: string;
  readonly codeRoot: string;
  readonly searchPath: string;
  readonly launcher: string;
  readonly interpreters: Interpreters;
};

export type LaunchChoice = { readonly launch: Launch; readonly abilities: readonly Ability[] };

/** A launch and why it does not work here; undefined if it does. */
type Candidate = { readonly launch: Launch; readonly fault: string | undefined };

/**
 * Finds out, by trying, which isolation this host offers, and chooses the best of the requested. Throws where the isolation that was requested,
 * or that root must have, does not work: an operator must not rely on isolation that is not there.
 */
export function chooseLaunch(request: SandboxRequest, host: HostFolders): LaunchChoice {
  const tried = candidates(request, host);
  const chosen = choose(request, tried);
  const { launch } = chosen;
  if (request.cutsNetwork !== undefined && launch.boundary === 'NONE')
    throw new OperatorError(
      `EVENFALL_AGENT_NETWORK is none, and neither can the agent make networks (${request.cutsNetwork}) nor the sandbox take it away: ${tried.namespaces.fault ?? 'EVENFALL_AGENT_SANDBOX is none'}`,
    );
  return { launch, abilities: abilitiesOf(request, chosen, tried) };
}

type Candidates = Readonly<Record<'namespaces' | 'users' | 'bubblewrap' | 'gvisor' | 'none', Candidate>>;

function candidates(request: SandboxRequest, host: HostFolders): Candidates {
  const { needs: interpreters } = host.interpreters;
  const needs = [...interpreters, dirname(host.launcher)];
  const network = request.cutsNetwork === undefined ? 'host' : 'none';
  const ownUsers = request.uids !== undefined;
  const bwrap = findProgram(`${host.searchPath}:/usr/sbin:/usr/bin:/sbin:/bin`, 'bwrap');
  const homes = ['/root', '/home'].filter(isFolder);
  const hidden = [
    ...['/tmp', '/var/tmp', '/sys/fs/cgroup', ...homes].filter(isFolder),
    host.dataDir,
    ...host.hidden,
    ...needs.concat(host.codeRoot).flatMap(closedFolderAbove),
  ];
  const plain: Launch = {
    launcher: host.launcher,
    boundary: 'NONE',
    bubblewrap: undefined,
    gvisor: undefined,
    network: 'host',
    ownUsers: false,
    shares: undefined,
    filters: false,
    hidden: [],
    needs: interpreters,
  };
  const filtered: Launch = { ...plain, filters: true, ownUsers, network, hidden, needs };
  const own = { ...filtered, hidden: [...hidden, ...['/run', '/dev', '/var/run', '/var/lock'].filter(isFolder)] };
  const tried = (launch: Launch): Candidate => ({ launch, fault: faultOf(launch, request, host) });
  const inNamespaces: Launch = ownUsers
    ? { ...own, boundary: 'NAMESPACES' }
    : { ...own, boundary: 'USER_NAMESPACE', shares: userShares(readUserLimits(), request.mostInstances) };
  return {
    namespaces: tried(inNamespaces),
    gvisor: gvisorCandidate(request, inNamespaces, host.searchPath, tried),
    users: ownUsers ? tried({ ...plain, filters: true, ownUsers }) : { launch: plain, fault: 'the agent is not root' },
    bubblewrap:
      bwrap === undefined
        ? { launch: plain, fault: 'bubblewrap is not installed' }
        : tried({ ...filtered, boundary: 'BUBBLEWRAP', bubblewrap: bwrap, hidden: [...hidden, '/dev/shm'].filter(isFolder) }),
    none: { launch: plain, fault: undefined },
  };
}

/** A trial lasts half a second, so it is made only on request. */
function gvisorCandidate({ sandbox }: SandboxRequest, within: Launch, searchPath: string, tried: (launch: Launch) => Candidate): Candidate {
  const runsc = findProgram(`${searchPath}:/usr/local/bin:/usr/bin`, 'runsc');
  if (runsc === undefined) return { launch: within, fault: 'runsc is not installed' };
  if (sandbox !== 'gvisor') return { launch: within, fault: `not used: ${runsc} is here, EVENFALL_AGENT_SANDBOX=gvisor uses it` };
  const gvisor = examineGvisor(runsc);
  if (typeof gvisor === 'string') return { launch: within, fault: gvisor };
  // A sandbox has epoll and the like in a kernel of its own; it uses a few of the host's for itself.
  return tried({ ...within, gvisor, shares: undefined, needs: [...within.needs, gvisor.program] });
}

function choose({ sandbox, uids, isLocal }: SandboxRequest, tried: Candidates): Candidate {
  if (sandbox === 'none') return tried.none;
  if (sandbox === 'bubblewrap') {
    if (tried.bubblewrap.fault === undefined) return tried.bubblewrap;
    throw new OperatorError(`EVENFALL_AGENT_SANDBOX is bubblewrap, which does not work here: ${tried.bubblewrap.fault}`);
  }
  if (sandbox === 'gvisor') {
    if (tried.gvisor.fault === undefined) return tried.gvisor;
    throw new OperatorError(`EVENFALL_AGENT_SANDBOX is gvisor, which does not work here: ${tried.gvisor.fault}`);
  }
  if (tried.namespaces.fault === undefined) return tried.namespaces;
  if (uids !== undefined && tried.users.fault === undefined) return tried.users;
  if (sandbox === 'auto' && uids === undefined && tried.bubblewrap.fault === undefined) return tried.bubblewrap;
  if (sandbox === 'auto' && uids === undefined && isLocal) return tried.none;
  const why =
    uids === undefined ? tried.namespaces.fault : `${tried.namespaces.fault}; and with a user for each alone: ${tried.users.fault}`;
  throw new OperatorError(
    `This host keeps functions apart neither from each other nor from the agent: ${why}. EVENFALL_AGENT_SANDBOX=none runs them without isolation, for code that you trust as yourself`,
  );
}

function faultOf(launch: Launch, { uids }: SandboxRequest, host: HostFolders): string | undefined {
  return trialFault(launch, {
    temporaryRoot: host.temporaryRoot,
    codeRoot: host.codeRoot,
    uid: launch.ownUsers ? uids?.first : undefined,
    programs: [process.execPath, ...(host.interpreters.python ? [host.interpreters.python] : [])],
    files: host.interpreters.needs,
  });
}

function abilitiesOf({ uids }: SandboxRequest, { launch }: Candidate, { namespaces, bubblewrap, users, gvisor }: Candidates): Ability[] {
  const ability = (name: string, available: boolean, detail: string): Ability => ({ name, available, detail });
  const isApart = launch.boundary !== 'NONE' || launch.ownUsers;
  const boxText = launch.boundary === 'BUBBLEWRAP' ? 'in use' : 'works; EVENFALL_AGENT_SANDBOX=bubblewrap uses it';
  return [
    ability('sandbox', isApart, sandboxText(launch)),
    ability(
      'own-users',
      launch.ownUsers,
      launch.ownUsers
        ? `every instance has a user of its own, from ${uids?.first} to ${uids?.last}`
        : (users.fault ?? 'not used: EVENFALL_AGENT_SANDBOX is none'),
    ),
    ability(
      'private-tmp',
      hasPrivateTmp(launch),
      hasPrivateTmp(launch)
        ? 'every instance has a /tmp of its own, of its function’s tmp_mb'
        : (namespaces.fault ?? 'not used: EVENFALL_AGENT_SANDBOX is none'),
    ),
    ability('bubblewrap', bubblewrap.fault === undefined, bubblewrap.fault ?? boxText),
    ability('gvisor', launch.gvisor !== undefined, gvisor.fault ?? 'in use: functions call a kernel of their own, not this host’s'),
    ability('system-calls', launch.filters, launch.filters ? 'functions cannot make those that container engines refuse' : 'not filtered'),
  ];
}

function sandboxText({ boundary, gvisor, ownUsers }: Launch): string {
  const user = ownUsers ? ', a user per instance' : ', the agent’s user';
  if (gvisor) return `gvisor: a kernel of its own behind namespaces and a read-only root${user}`;
  switch (boundary) {
    case 'NAMESPACES':
      return `process: namespaces and a read-only root${user}`;
    case 'USER_NAMESPACE':
      return `process: namespaces within a user namespace, and a read-only root${user}`;
    case 'BUBBLEWRAP':
      return `bubblewrap: namespaces and a read-only root${user}`;
    case 'NONE':
      return ownUsers
        ? 'process: a user per instance, in sight of the host’s files and processes'
        : 'none: functions run as the agent’s user, and can read the access key and signal what it can';
  }
}

/** The outermost folder on the way to a path that others may not enter; none if they can get there. */
function closedFolderAbove(path: string): string[] {
  for (const folder of foldersDownTo(realpathSync(path))) {
    if (folder !== path && (lstatSync(folder).mode & 0o001) === 0) return [folder];
  }
  return [];
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
