import { OperatorError } from '@evenfall/errors';
import type { Ability } from '../../domain/ability.ts';
import type { Networks } from '../../ports.ts';
import { findConnectionOwners } from './connection-owners.ts';
import { hostNetwork } from './host-network.ts';
import { type NetworkTerms, openClosedNetworks, type OpenedNetworks, openPrivateNetworks } from './open-networks.ts';

export type NetworkSetting = 'auto' | 'host' | 'private' | 'none';

export type ChosenNetworks = OpenedNetworks & {
  /** Set where functions are to have no network and the agent cannot make them one, which leaves it to the launch: why, in words. */
  readonly launchCuts: string | undefined;
};

export type NetworkWish = {
  readonly setting: NetworkSetting;
  /** Whether the launch has namespaces, by which it can take a network away. */
  readonly hasWalls: boolean;
  /** Whether every instance has a user of its own. */
  readonly hasOwnUsers: boolean;
  /** Whether it was asked for no walls. */
  readonly isOpen: boolean;
};

/**
 * Gives instances the networks that were asked for. `private` where it does not work throws. `auto` is the first of `private`, `none` and `host` that
 * works; it is `host` only where nothing else keeps functions apart. `none` where the agent cannot make networks is left to the launch, which can
 * take the network away but not reach into it.
 */
export async function chooseNetworks(wish: NetworkWish, terms: NetworkTerms): Promise<ChosenNetworks> {
  const { setting, hasWalls, isOpen } = wish;
  if (setting === 'host') return sharedNetworks('EVENFALL_AGENT_NETWORK is host', wish);
  if (setting === 'auto' && isOpen) return sharedNetworks('EVENFALL_AGENT_SANDBOX is none', wish);
  const opened = setting === 'none' ? undefined : await openPrivateNetworks(terms).catch(asError);
  if (opened && !(opened instanceof Error)) return withWayOut(opened, { available: true, detail: 'through this host, in its name' });
  if (setting === 'private')
    throw new OperatorError(`EVENFALL_AGENT_NETWORK is private, which does not work here: ${opened?.message ?? ''}`, { cause: opened });
  const why = opened ? opened.message : 'EVENFALL_AGENT_NETWORK is none';
  const closed = await openClosedNetworks(terms).catch(asError);
  if (!(closed instanceof Error)) return withWayOut(closed, { available: false, detail: `functions reach nothing outside: ${why}` });
  if (setting === 'auto' && !hasWalls) return sharedNetworks(closed.message, wish);
  return cutNetworks(closed.message);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function withWayOut(opened: OpenedNetworks, { available, detail }: Omit<Ability, 'name'>): ChosenNetworks {
  const { networks } = opened;
  const abilities = [...networks.abilities, { name: 'way-out', available, detail }];
  return { ...opened, networks: { ...networks, abilities }, launchCuts: undefined };
}

/** Where all have one user, a secret in the environment tells them apart as long as they cannot read each other's. */
async function sharedNetworks(why: string, { hasWalls, hasOwnUsers }: NetworkWish): Promise<ChosenNetworks> {
  const detail = `functions share the host’s network, its loopback, and the ports of each other: ${why}`;
  const abilities = [
    { name: 'own-network', available: false, detail },
    { name: 'way-out', available: true, detail: 'the host’s network' },
  ];
  return { networks: await oneNetwork(abilities, hasWalls && !hasOwnUsers), notes: [], launchCuts: undefined };
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
