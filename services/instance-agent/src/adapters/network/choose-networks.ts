import { spawnSync } from 'node:child_process';
import { OperatorError } from '@evenfall/errors';
import type { Networks } from '../../ports.ts';
import { type ConnectionOwners, findConnectionOwners } from './connection-owners.ts';
import { hostNetwork } from './host-network.ts';
import { type NetworkTerms, openClosedNetworks, type OpenedNetworks, openPrivateNetworks } from './open-networks.ts';

export type NetworkSetting = 'host' | 'private' | 'none';

export type ChosenNetworks = OpenedNetworks & {
  /** Set where functions are to have no network and the agent cannot make them one, which leaves it to the launch: why, in words. */
  readonly launchCuts: string | undefined;
};

const WITHIN_MS = 20_000;

/**
 * Gives instances the networks that were asked for. `private` where it does not work throws; `none` is then left to the launch, which can take
 * the network away but not reach into it.
 */
export async function chooseNetworks(setting: NetworkSetting, terms: NetworkTerms): Promise<ChosenNetworks> {
  switch (setting) {
    case 'host':
      return {
        networks: sharedNetworks(await findConnectionOwners(), false, `functions share the host’s network; ${rightsText(terms)}`),
        notes: [],
        launchCuts: undefined,
      };
    case 'private':
      return openPrivateNetworks(terms).then(chosen, (error: unknown) => {
        throw new OperatorError(`EVENFALL_AGENT_NETWORK is private, which does not work here: ${textOf(error)}`, { cause: error });
      });
    case 'none':
      return openClosedNetworks().then(chosen, async (error: unknown) => {
        const detail = `functions have no network; runtimes custom, go1 and web do not start, since the agent cannot enter one: ${textOf(error)}`;
        return { networks: sharedNetworks(await findConnectionOwners(), true, detail), notes: [], launchCuts: textOf(error) };
      });
  }
}

/** Tries own networks of both kinds and lets go of them: what works here, in words, whatever the setting is. */
export async function networksText(terms: NetworkTerms): Promise<string> {
  const tried = async (name: string, open: () => Promise<OpenedNetworks>): Promise<string> => {
    try {
      await (await open()).networks.close();
      return `EVENFALL_AGENT_NETWORK=${name} works here`;
    } catch (error) {
      return `${name} does not work here: ${textOf(error)}`;
    }
  };
  const words = [await tried('private', () => openPrivateNetworks(terms)), await tried('none', openClosedNetworks)];
  return words.join('; ');
}

function chosen(opened: OpenedNetworks): ChosenNetworks {
  return { ...opened, launchCuts: undefined };
}

function sharedNetworks(owners: ConnectionOwners, available: boolean, detail: string): Networks {
  const network = hostNetwork(owners);
  return {
    ability: { name: 'own-network', available, detail },
    open: () => Promise.resolve(network),
    close: () => Promise.resolve(),
  };
}

/** Whether networks could be made at all. An agent that is not to make any does not load what it takes to enter them. */
function rightsText({ find }: NetworkTerms): string {
  const unshare = find('unshare');
  const may = unshare !== undefined && spawnSync(unshare, ['--net', '--', 'true'], { timeout: WITHIN_MS, stdio: 'ignore' }).status === 0;
  return may ? 'it may give each one of its own' : 'it may not give each one of its own (CAP_SYS_ADMIN)';
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
