import type { StartPart } from '@evenfall/lifecycle';
import { type ClientOf, openPeer, type Peer, type PeerOptions, type PeerTls, type ServiceDefinition } from '@evenfall/rpc';
import type { Dependencies } from './dependencies.ts';
import { type AnyConfig, calledService, type Named } from './descriptor.ts';
import { internalHeaders } from './internal-key.ts';
import type { ServiceName } from './settings.ts';

/** Clients of services in other processes. */
export type Network = {
  client<S extends ServiceDefinition>(service: S): Promise<ClientOf<S>>;
  clients<S extends ServiceDefinition>(service: S): Promise<readonly [ClientOf<S>, ...ClientOf<S>[]]>;
};

type NetworkParts = {
  readonly config: AnyConfig;
  readonly part: StartPart;
  readonly tls: PeerTls | undefined;
  readonly dependencies: Dependencies;
};

/** How long another service may take to say that it is serving, in milliseconds. */
const ASK_MS = 2_000;

/** Opens the channels of a service to those that its descriptor names, each when it is first asked for: what is opened later is closed earlier. */
export function createNetwork(descriptor: Named, { config, part, tls, dependencies }: NetworkParts): Network {
  const headers = internalHeaders(config.internalKey);
  const opened = new Map<ServiceName, Promise<readonly [Peer, ...Peer[]]>>();

  const channel = (name: ServiceName, address: string, options: PeerOptions): Promise<Peer> =>
    part(
      `channel to ${name}`,
      () => openPeer(address, { headers, ...(tls ? { secure: { tls, identity: name } } : {}), streamsWait: true, ...options }),
      (peer) => peer.close(),
    );
  const open = async (name: ServiceName, options: PeerOptions): Promise<readonly [Peer, ...Peer[]]> => {
    const [address, ...others] = addressesOf(config, name);
    const peers: [Peer, ...Peer[]] = [await channel(name, address, options)];
    for (const another of others) peers.push(await channel(name, another, options));
    const answers = async (): Promise<boolean> => (await Promise.all(peers.map((peer) => peer.isServing(ASK_MS)))).includes(true);
    dependencies.add({ name: `${name} at ${[address, ...others].join(', ')}`, answers });
    return peers;
  };
  const peersOf = (service: ServiceDefinition): Promise<readonly [Peer, ...Peer[]]> => {
    const { name, options } = calledService(descriptor, service);
    let peers = opened.get(name);
    if (!peers) opened.set(name, (peers = open(name, options)));
    return peers;
  };
  return {
    client: async (service) => (await peersOf(service))[0].client(service),
    async clients(service) {
      const [first, ...others] = await peersOf(service);
      return [first.client(service), ...others.map((peer) => peer.client(service))];
    },
  };
}

/** Where the replicas of a service are. Throws where the settings have no address of it: then the descriptor reads too little. */
function addressesOf(config: AnyConfig, name: ServiceName): readonly [string, ...string[]] {
  const { registryAddress, schedulerAddress, eventStoreAddress, queueAddresses = [] } = config;
  const single = { registry: registryAddress, scheduler: schedulerAddress, 'event-store': eventStoreAddress } as const;
  const [first, ...others] =
    name === 'queue' ? queueAddresses : Object.entries(single).flatMap(([key, at]) => (key === name && at ? [at] : []));
  if (first === undefined) throw new Error(`The settings have no address of ${name}`);
  return [first, ...others];
}
