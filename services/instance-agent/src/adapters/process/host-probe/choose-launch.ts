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
import { hasPrivateTmp, type Launch } from '../isolation/launch-words.ts';
import { trialFault } from './try-launch.ts';
import { readUserLimits } from '../isolation/user-limits.ts';

export type Sandbox = 'auto' | 'process' | 'bubblewrap' | 'gvisor' | 'none';

type ClaimedIds = { readonly first: number; readonly last: number } & Partial<Pick<ClaimedUids, 'lost' | 'sweptCount'>>;

export type SandboxAsked = {
  readonly sandbox: Sandbox;
  /** Set if the launch is to take the network away, since the agent cannot give instances one of their own: why it cannot. */
  readonly cutsNetwork: string | undefined;
  /** Whether the platform is reached from this host alone: only then may an ordinary user's functions run without walls unless that was asked for. */
  readonly isLocal: boolean;
  /** How many instances there can be at once, by their memory. */
  readonly mostInstances: number;
  /** User ids that are this agent's alone to give away; undefined if it is not root. */
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
 * Finds out, by trying, how far apart this host can keep processes, and takes the best of what was asked for. Throws where the walls that were asked
 * for, or that root has to have, do not work: nobody is to believe in walls that are not there.
 */
export function chooseLaunch(asked: SandboxAsked, host: HostFolders): LaunchChoice {
  const tried = candidates(asked, host);
  const chosen = choose(asked, tried);
  const { launch } = chosen;
  if (asked.cutsNetwork !== undefined && launch.walls === 'NONE')
    throw new OperatorError(
      `EVENFALL_AGENT_NETWORK is none, and neither can the agent make networks (${asked.cutsNetwork}) nor the sandbox take it away: ${tried.namespaces.fault ?? 'EVENFALL_AGENT_SANDBOX is none'}`,
    );
  return { launch, abilities: abilitiesOf(asked, chosen, tried) };
}

type Candidates = Readonly<Record<'namespaces' | 'users' | 'boxed' | 'gvisor' | 'none', Candidate>>;

function candidates(asked: SandboxAsked, host: HostFolders): Candidates {
  const { needs: interpreters } = host.interpreters;
  const needs = [...interpreters, dirname(host.launcher)];
  const network = asked.cutsNetwork === undefined ? 'host' : 'none';
  const ownUsers = asked.uids !== undefined;
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
    walls: 'NONE',
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
  const tried = (launch: Launch): Candidate => ({ launch, fault: faultOf(launch, asked, host) });
  const inNamespaces: Launch = ownUsers
    ? { ...own, walls: 'NAMESPACES' }
    : { ...own, walls: 'USER_NAMESPACE', shares: userShares(readUserLimits(), asked.mostInstances) };
  return {
    namespaces: tried(inNamespaces),
    gvisor: gvisorCandidate(asked, inNamespaces, host.searchPath, tried),
    users: ownUsers ? tried({ ...plain, filters: true, ownUsers }) : { launch: plain, fault: 'the agent is not root' },
    boxed:
      bwrap === undefined
        ? { launch: plain, fault: 'bubblewrap is not installed' }
        : tried({ ...filtered, walls: 'BUBBLEWRAP', bubblewrap: bwrap, hidden: [...hidden, '/dev/shm'].filter(isFolder) }),
    none: { launch: plain, fault: undefined },
  };
}

/** It takes half a second to try, so that is done only where it was asked for. */
function gvisorCandidate({ sandbox }: SandboxAsked, within: Launch, searchPath: string, tried: (launch: Launch) => Candidate): Candidate {
  const runsc = findProgram(`${searchPath}:/usr/local/bin:/usr/bin`, 'runsc');
  if (runsc === undefined) return { launch: within, fault: 'runsc is not installed' };
  if (sandbox !== 'gvisor') return { launch: within, fault: `not used: ${runsc} is here, EVENFALL_AGENT_SANDBOX=gvisor uses it` };
  const gvisor = examineGvisor(runsc);
  if (typeof gvisor === 'string') return { launch: within, fault: gvisor };
  // A sandbox has epoll and the like in a kernel of its own; what it takes of the host's are a few for itself.
  return tried({ ...within, gvisor, shares: undefined, needs: [...within.needs, gvisor.program] });
}

function choose({ sandbox, uids, isLocal }: SandboxAsked, tried: Candidates): Candidate {
  if (sandbox === 'none') return tried.none;
  if (sandbox === 'bubblewrap') {
    if (tried.boxed.fault === undefined) return tried.boxed;
    throw new OperatorError(`EVENFALL_AGENT_SANDBOX is bubblewrap, which does not work here: ${tried.boxed.fault}`);
  }
  if (sandbox === 'gvisor') {
    if (tried.gvisor.fault === undefined) return tried.gvisor;
    throw new OperatorError(`EVENFALL_AGENT_SANDBOX is gvisor, which does not work here: ${tried.gvisor.fault}`);
  }
  if (tried.namespaces.fault === undefined) return tried.namespaces;
  if (uids !== undefined && tried.users.fault === undefined) return tried.users;
  if (sandbox === 'auto' && uids === undefined && tried.boxed.fault === undefined) return tried.boxed;
  if (sandbox === 'auto' && uids === undefined && isLocal) return tried.none;
  const why =
    uids === undefined ? tried.namespaces.fault : `${tried.namespaces.fault}; and with a user for each alone: ${tried.users.fault}`;
  throw new OperatorError(
    `This host keeps functions apart neither from each other nor from the agent: ${why}. EVENFALL_AGENT_SANDBOX=none runs them without walls, for code that you trust as yourself`,
  );
}

function faultOf(launch: Launch, { uids }: SandboxAsked, host: HostFolders): string | undefined {
  return trialFault(launch, {
    temporaryRoot: host.temporaryRoot,
    codeRoot: host.codeRoot,
    uid: launch.ownUsers ? uids?.first : undefined,
    programs: [process.execPath, ...(host.interpreters.python ? [host.interpreters.python] : [])],
    files: host.interpreters.needs,
  });
}

function abilitiesOf({ uids }: SandboxAsked, { launch }: Candidate, { namespaces, boxed, users, gvisor }: Candidates): Ability[] {
  const ability = (name: string, available: boolean, detail: string): Ability => ({ name, available, detail });
  const isApart = launch.walls !== 'NONE' || launch.ownUsers;
  const boxText = launch.walls === 'BUBBLEWRAP' ? 'in use' : 'works; EVENFALL_AGENT_SANDBOX=bubblewrap uses it';
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
    ability('bubblewrap', boxed.fault === undefined, boxed.fault ?? boxText),
    ability('gvisor', launch.gvisor !== undefined, gvisor.fault ?? 'in use: functions call a kernel of their own, not this host’s'),
    ability('system-calls', launch.filters, launch.filters ? 'functions cannot make those that container engines refuse' : 'not filtered'),
  ];
}

function sandboxText({ walls, gvisor, ownUsers }: Launch): string {
  const user = ownUsers ? ', a user per instance' : ', the agent’s user';
  if (gvisor) return `gvisor: a kernel of its own behind namespaces and a read-only root${user}`;
  switch (walls) {
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
