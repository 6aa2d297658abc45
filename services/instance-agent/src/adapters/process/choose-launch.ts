import { lstatSync, realpathSync } from 'node:fs';
import { OperatorError } from '@evenfall/errors';
import { foldersDownTo } from '../../domain/mount-plan.ts';
import type { Ability } from '../../domain/ability.ts';
import { findProgram } from './find-program.ts';
import type { Interpreters } from './interpreters.ts';
import { hasPrivateTmp, type Launch } from './launcher.ts';
import { trialFault } from './trial.ts';

export type SandboxWish = {
  readonly sandbox: 'auto' | 'process' | 'bubblewrap';
  /** Set if the launch is to take the network away, since the agent cannot give instances one of their own: why it cannot. */
  readonly cutsNetwork: string | undefined;
  /** User ids that are this agent's alone to give away; undefined if it is not root, or others have them all. */
  readonly uids: { readonly first: number; readonly last: number } | undefined;
};

export type LaunchTermsOfHost = {
  /** All of these exist and are without links. */
  readonly dataDir: string;
  readonly temporaryRoot: string;
  readonly codeRoot: string;
  readonly searchPath: string;
  readonly interpreters: Interpreters;
};

export type LaunchChoice = { readonly launch: Launch; readonly abilities: readonly Ability[] };

/**
 * Finds out, by trying, how far apart this host can keep processes, and takes the best of what was wished for. Throws if that was said by name
 * and does not work: nobody is to believe in walls that are not there.
 */
export function chooseLaunch(wish: SandboxWish, host: LaunchTermsOfHost): LaunchChoice {
  const isRoot = process.getuid?.() === 0;
  const find = (name: string): string | undefined => findProgram(`${host.searchPath}:/usr/sbin:/usr/bin:/sbin:/bin`, name);
  const setpriv = find('setpriv');
  const [bwrap, unshare, mount] = [find('bwrap'), find('unshare'), find('mount')];
  const { needs } = host.interpreters;
  const plain: Launch = {
    bubblewrap: undefined,
    network: 'host',
    ownUsers: false,
    mounts: undefined,
    setpriv,
    parentDeath: true,
    hidden: [],
    needs,
  };
  const homes = ['/root', '/home'];
  const hidden = (...more: readonly string[]): string[] => [
    ...['/tmp', '/var/tmp', '/dev/shm', ...more].filter(isFolder),
    host.dataDir,
    ...needs.concat(host.codeRoot).flatMap(closedFolderAbove),
  ];
  const fault = (launch: Launch): string | undefined =>
    trialFault(launch, {
      temporaryRoot: host.temporaryRoot,
      codeRoot: host.codeRoot,
      uid: launch.ownUsers ? wish.uids?.first : undefined,
      programs: [process.execPath, ...(host.interpreters.python ? [host.interpreters.python] : [])],
      files: needs,
    });

  const death = setpriv === undefined ? 'setpriv (util-linux) is not installed' : fault(plain);
  const parentDeath = death === undefined;
  const base: Launch = parentDeath ? plain : { ...plain, setpriv: undefined, parentDeath: false };
  const users: Launch = { ...base, ownUsers: true };
  const mounted: Launch = { ...users, mounts: unshare && mount ? { unshare, mount } : undefined, hidden: hidden() };
  const boxed: Launch = {
    ...base,
    bubblewrap: bwrap,
    network: wish.cutsNetwork === undefined ? 'host' : 'none',
    ownUsers: wish.uids !== undefined,
    hidden: hidden(...homes),
  };

  const needsRoot = isRoot ? 'all ids of EVENFALL_AGENT_UIDS are taken by other agents of this host' : 'the agent is not root';
  const usersFault = !wish.uids ? needsRoot : (death ?? fault(users));
  const mountsFault = !wish.uids
    ? needsRoot
    : (death ?? (mounted.mounts ? fault(mounted) : 'unshare and mount (util-linux) are not installed'));
  const boxFault = !parentDeath ? death : bwrap === undefined ? 'bubblewrap is not installed' : fault(boxed);
  const best = mountsFault === undefined ? mounted : usersFault === undefined ? users : base;
  const boxWorks = boxFault === undefined;
  if (wish.sandbox === 'bubblewrap' && !boxWorks)
    throw new OperatorError(`EVENFALL_AGENT_SANDBOX is bubblewrap, which does not work here: ${boxFault}`);
  // As root users of their own are walls enough, and endings are told more exactly without a namespace. Another user has no other wall.
  const wantsBox = wish.sandbox === 'bubblewrap' || (wish.sandbox === 'auto' && (wish.cutsNetwork !== undefined || !best.ownUsers));
  const launch = wantsBox && boxWorks ? boxed : best;
  if (wish.cutsNetwork !== undefined && launch.bubblewrap === undefined)
    throw new OperatorError(
      `EVENFALL_AGENT_NETWORK is none, and neither can the agent make networks (${wish.cutsNetwork}) nor bubblewrap take it away: ${boxFault ?? 'EVENFALL_AGENT_SANDBOX is process'}`,
    );
  const ability = (name: string, available: boolean, detail: string): Ability => ({ name, available, detail });
  const own = launch.ownUsers ? undefined : (usersFault ?? 'not used');
  const tmp = hasPrivateTmp(launch) ? undefined : (mountsFault ?? 'not used');
  return {
    launch,
    abilities: [
      ability('sandbox', launch.ownUsers || launch.bubblewrap !== undefined, sandboxText(launch)),
      ability(
        'own-users',
        own === undefined,
        own ?? `every instance has a user of its own, from ${wish.uids?.first} to ${wish.uids?.last}`,
      ),
      ability('private-tmp', tmp === undefined, tmp ?? 'every instance has a /tmp of its own, of 512 MB'),
      ability('bubblewrap', boxWorks, boxFault ?? (launch.bubblewrap ? 'in use' : 'works; EVENFALL_AGENT_SANDBOX=bubblewrap uses it')),
      ability('parent-death', parentDeath, death ?? 'functions die with the agent, even one that is killed'),
    ],
  };
}

function sandboxText({ bubblewrap, ownUsers }: Launch): string {
  if (bubblewrap) return `bubblewrap: namespaces and a read-only root${ownUsers ? ', a user per instance' : ', the agent’s user'}`;
  return ownUsers ? 'process: a user per instance' : 'process: functions run as the agent’s user and can read and signal what it can';
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
