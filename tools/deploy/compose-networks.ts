import { callersOfServer } from '@evenfall/service-main/rights';
import { SERVICES, type Service } from '@evenfall/peer-identity';
import { parse } from 'yaml';
import { serviceOf } from './settings-faults.ts';

type Compose = {
  readonly services: Readonly<Record<string, { readonly command?: readonly string[]; readonly networks?: readonly string[] }>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
};

/** Containers of other software, and the services that use them. */
const STORES: Readonly<Record<string, readonly string[]>> = {
  postgres: ['registry', 'event-store'],
  kafka: ['event-store', 'queue', 'kafka-rights'],
};
/** Who calls something outside: the queue webhooks; the gateway's APIs are published, for which it takes a network that is not internal. */
const OUTSIDE: ReadonlySet<string> = new Set(['queue', 'gateway']);

/**
 * What is wrong with the networks of a compose file: two containers have one in common if one of them calls the other, and for agents, where
 * functions run, only then. Agents and stores have no way out.
 */
export function composeNetworkFaults(text: string): string[] {
  const { services, networks } = parse(text, { merge: true }) as Compose; // checked against the Compose specification before
  const isInternal = (network: string): boolean => networks[network]?.internal === true;
  const containers = Object.entries(services).map(([name, { command, networks: own = ['default'] }]) => {
    const service = serviceOf(command);
    return { name, kind: service === 'instance-agent' ? 'agent' : (service ?? name), networks: own };
  });
  const faults: string[] = [];
  for (const a of containers) {
    if (services[a.name]?.networks === undefined && a.name !== 'setup') faults.push(`compose.yaml: ${a.name} names no network`);
    if (!OUTSIDE.has(a.kind) && a.name !== 'setup' && !a.networks.every(isInternal))
      faults.push(`compose.yaml: ${a.name} has a way out and calls nothing there`);
    for (const b of containers) {
      if (a === b || a.name === 'setup' || b.name === 'setup') continue;
      const shared = a.networks.filter((network) => b.networks.includes(network));
      const mayCall = calls(a.kind, b.kind);
      if (mayCall && shared.length === 0) faults.push(`compose.yaml: ${a.name} calls ${b.name} and has no network in common with it`);
      const isGuarded = a.kind === 'agent' || b.kind in STORES;
      if (isGuarded && !mayCall && shared.length > 0)
        faults.push(`compose.yaml: ${a.name} reaches ${b.name} in ${shared.join()} and does not call it`);
    }
  }
  return faults;
}

function calls(caller: string, server: string): boolean {
  if (server in STORES) return STORES[server]?.includes(caller) === true;
  const isServer = (name: string): name is Service => (SERVICES as readonly string[]).includes(name);
  return isServer(server) && callersOfServer(server).some((one) => one === caller);
}
