import { OperatorError } from '@evenfall/errors';
import type { Ability } from '../../domain/ability.ts';
import type { Networks } from '../../ports.ts';
import { findConnectionOwners } from './connection-owners.ts';
import { hostNetwork } from './host-network.ts';
import { type NetworkOptions, openClosedNetworks, type OpenedNetworks, openPrivateNetworks } from './open-networks.ts';

export type NetworkSetting = 'auto' | 'host' | 'private' | 'none';

export type ChosenNetworks = OpenedNetworks & {
  /** Set where functions must have no network and the agent cannot make them an empty one, so that the launch has to take it away: why. */
  readonly launchCuts: string | undefined;
};

export type NetworkRequest = {
  readonly setting: NetworkSetting;
  /** Whether the launch has namespaces, by which it can take a network away. */
  readonly hasBoundary: boolean;
  /** Whether every instance has a user of its own. */
  readonly hasOwnUsers: boolean;
  /** Whether no sandbox was requested. */
  readonly isOpen: boolean;
};

/**
 * Gives instances the networks that were requested. `private` where it does not work throws. `auto` is the first of `private`, `none` and `host` that
 * works; it is `host` only where nothing else keeps functions apart. `none` where the agent cannot make networks is left to the launch, which can
 * take the network away but not reach into it.
 */
export async function chooseNetworks(request: NetworkRequest, terms: NetworkOptions): Promise<ChosenNetworks> {
  const { setting, hasBoundary, isOpen } = request;
  if (setting === 'host') return sharedNetworks('EVENFALL_AGENT_NETWORK is host', request);
  if (setting === 'auto' && isOpen) return sharedNetworks('EVENFALL_AGENT_SANDBOX is none', request);
  const opened = setting === 'none' ? undefined : await openPrivateNetworks(terms).catch(asError);
  if (opened && !(opened instanceof Error)) return withOutbound(opened, { available: true, detail: 'through this host, in its name' });
  if (setting === 'private')
    throw new OperatorError(`EVENFALL_AGENT_NETWORK is private, which does not work here: ${opened?.message ?? ''}`, { cause: opened });
  const why = opened ? opened.message : 'EVENFALL_AGENT_NETWORK is none';
  const closed = await openClosedNetworks(terms).catch(asError);
  if (!(closed instanceof Error)) return withOutbound(closed, { available: false, detail: `functions reach nothing outside: ${why}` });
  if (setting === 'auto' && !hasBoundary) return sharedNetworks(closed.message, request);
  return cutNetworks(closed.message);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function withOutbound(opened: OpenedNetworks, { available, detail }: Omit<Ability, 'name'>): ChosenNetworks {
  const { networks } = opened;
  const abilities = [...networks.abilities, { name: 'way-out', available, detail }];
  return { ...opened, networks: { ...networks, abilities }, launchCuts: undefined };
}

/** Where all have one user, a secret in the environment distinguishes them as long as they cannot read each other's. */
async function sharedNetworks(why: string, { hasBoundary, hasOwnUsers }: NetworkRequest): Promise<ChosenNetworks> {
  const detail = `functions share the host’s network, its loopback, and the ports of each other: ${why}`;
  const abilities = [
    { name: 'own-network', available: false, detail },
    { name: 'way-out', available: true, detail: 'the host’s network' },
  ];
  return { networks: await oneNetwork(abilities, hasBoundary && !hasOwnUsers), notes: [], launchCuts: undefined };
}

async function cutNetworks(why: string): Promise<ChosenNetworks> {
  const detail = `functions have no network; runtimes custom, go1 and web do not start, since the agent cannot enter one: ${why}`;
  const abilities = [
    { name: 'own-network', available: true, detail },
    { name: 'way-out', available: false, detail: 'functions have no network' },
  ];
  return { networks: await oneNetwork(abilities, false), notes: [], launchCuts: why };
}

async function oneNetwork(abilities: readonly Ability[], needsSecret: boolean): Promise<Networks> {
  const network = hostNetwork(await findConnectionOwners(), needsSecret);
  return { abilities, open: () => Promise.resolve(network), close: () => Promise.resolve() };
}
