import { chmodSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { Ability } from '../../../domain/ability.ts';
import { OperatorError } from '@evenfall/errors';
import { isLoopback } from '@evenfall/config';
import { uidRangeOf } from '../../../domain/uid-pool.ts';
import type { Networks } from '../../../ports.ts';
import { chooseNetworks, type NetworkSetting } from '../../network/choose-networks.ts';
import type { NetworkOptions } from '../../network/open-networks.ts';
import { chooseLaunch, type LaunchChoice, type SandboxRequest } from './choose-launch.ts';
import { claimUids } from '../isolation/claim-uids.ts';
import { claimsFolder, claimRange } from '../isolation/claim-file.ts';
import { hostAbilities } from './host-abilities.ts';
import type { Interpreters } from '../launch/interpreters.ts';
import { findLauncher } from '../launch/launcher-program.ts';
import { findPipes, type OpenPipe } from '../launch/output-pipes.ts';
import { findPosixSpawn } from '../launch/posix-spawn.ts';
import { spawnByFork, type SpawnChild } from '../launch/spawn-child.ts';

export type HostSettings = {
  readonly sandbox?: SandboxRequest['sandbox'] | undefined;
  readonly network?: NetworkSetting | undefined;
  readonly subnet?: string | undefined;
  readonly networkAllow?: readonly string[] | undefined;
  readonly uids?: string | undefined;
  /** Folders that no function sees beside the agent's own; those that do not exist are left out. */
  readonly hidden?: readonly string[] | undefined;
  readonly searchPath?: string | undefined;
  /** Megabytes of memory for instances; three quarters of the host's without it. */
  readonly capacityMb?: number | undefined;
  /** Where the platform's APIs listen; those of this host only without one. */
  readonly host?: string | undefined;
};

export type ExaminedHost = {
  readonly temporaryRoot: string;
  readonly interpreters: Interpreters;
  readonly abilities: readonly Ability[];
  readonly choice: LaunchChoice;
  readonly uids: SandboxRequest['uids'] | undefined;
  readonly networks: Networks;
  readonly openPipe: OpenPipe | undefined;
  readonly spawnChild: SpawnChild;
  /** What was changed on this host, for its operator. */
  readonly notes: readonly string[];
  /** Releases the user ids and the networks. */
  release(): Promise<void>;
};

const NO_PIPES = 'The C library cannot be reached: functions cannot open /dev/stdout and /dev/stderr by name';
/** Memory of the smallest function. */
const LEAST_MB = 64;
const DEFAULT_UIDS = '900000-909999';
const DEFAULT_SUBNET = '10.213.0.0/16';
const DEFAULT_SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Makes the agent's folders and finds out by trying what this host can do; starts about five short processes. `dataDir` exists and is without links. */
export async function examineHost(
  dataDir: string,
  interpreters: Interpreters,
  settings: HostSettings,
  onFault: NetworkOptions['onFault'] = () => undefined,
): Promise<ExaminedHost> {
  const [temporaryRoot, codeRoot] = [join(dataDir, 'tmp'), join(dataDir, 'code')];
  for (const folder of [temporaryRoot, codeRoot]) {
    mkdirSync(folder, { recursive: true });
    // Passed through, not looked into: the name of a package is the digest of its code, which only an owner of the code knows.
    if (process.getuid?.() === 0) chmodSync(folder, 0o711);
  }
  const launcher = findLauncher();
  const sandbox = settings.sandbox ?? 'auto';
  const range = uidRangeOf(settings.uids ?? DEFAULT_UIDS);
  const claimed = process.getuid?.() === 0 && sandbox !== 'none' ? await claimUids(launcher, range) : undefined;
  const searchPath = settings.searchPath ?? DEFAULT_SEARCH_PATH;
  let networks: Networks | undefined;
  const release = async (): Promise<void> => {
    await networks?.close();
    await claimed?.release();
  };
  try {
    const isLocal = settings.host === undefined || isLoopback(settings.host);
    const mostInstances = Math.ceil((settings.capacityMb ?? defaultCapacityMb()) / LEAST_MB);
    const hidden = existingFolders(settings.hidden ?? []);
    const launchWith = (cutsNetwork: string | undefined): LaunchChoice => {
      const request = { sandbox, isLocal, cutsNetwork, mostInstances, uids: claimed } as const;
      return chooseLaunch(request, { dataDir, hidden, temporaryRoot, codeRoot, searchPath, launcher, interpreters });
    };
    if (sandbox === 'gvisor' && settings.network === 'host')
      throw new OperatorError(
        'EVENFALL_AGENT_SANDBOX is gvisor and EVENFALL_AGENT_NETWORK is host: isolation of untrusted code needs a network for each instance, private or none',
      );
    const first = launchWith(undefined);
    const hasBoundary = first.launch.boundary !== 'NONE';
    const request = {
      setting: settings.network ?? 'auto',
      hasBoundary,
      hasOwnUsers: first.launch.ownUsers,
      isOpen: sandbox === 'none',
    } as const;
    const chosen = await chooseNetworks(request, networkTermsOf(settings, launcher, hasBoundary, onFault));
    networks = chosen.networks;
    const choice = chosen.launchCuts === undefined ? first : launchWith(chosen.launchCuts);
    const abilities = [...networks.abilities, ...hostAbilities(dataDir, interpreters)];
    const openPipe = await findPipes();
    const spawnChild = (await findPosixSpawn()) ?? spawnByFork;
    const notes = openPipe ? chosen.notes : [...chosen.notes, NO_PIPES];
    return { temporaryRoot, interpreters, abilities, choice, uids: claimed, networks, openPipe, spawnChild, notes, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Memory for instances by default. */
export function defaultCapacityMb(): number {
  return Math.floor((totalmem() / 1024 / 1024) * 0.75);
}

/** Mounts know no links. */
function existingFolders(paths: readonly string[]): string[] {
  return paths
    .map((path) => resolve(path))
    .filter((path) => existsSync(path))
    .map((path) => realpathSync(path));
}

function networkTermsOf(
  { subnet, networkAllow, capacityMb }: HostSettings,
  launcher: string,
  ownResolvConf: boolean,
  onFault: NetworkOptions['onFault'],
): NetworkOptions {
  return {
    launcher,
    subnet: subnet ?? DEFAULT_SUBNET,
    allowed: networkAllow ?? [],
    capacityMb: capacityMb ?? defaultCapacityMb(),
    ownResolvConf,
    hold: (kind, range) => claimRange(launcher, { kind, ...range }),
    forwardingFile: () => join(claimsFolder(), 'forwarding.devices'),
    onFault,
  };
}
