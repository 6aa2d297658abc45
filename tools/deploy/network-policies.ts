import ipaddr from 'ipaddr.js';

type Labels = Readonly<Record<string, string>>;
type Selector = {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[];
};
type Peer = {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
};
type Port = { readonly port?: number | string; readonly protocol?: string };
type Rule = { readonly from?: readonly Peer[]; readonly to?: readonly Peer[]; readonly ports?: readonly Port[] };

/** A NetworkPolicy, as far as it is looked at. */
export type Policy = {
  readonly kind: 'NetworkPolicy';
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes: readonly Direction[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
};
export type Direction = 'Ingress' | 'Egress';

/** One end of a connection. */
export type Endpoint =
  | { readonly kind: 'pod'; readonly labels: Labels; /** Undefined: in the namespace of the policies. */ readonly namespace?: Labels }
  | { readonly kind: 'address'; readonly address: string };

export type PortOf = { readonly port: number; readonly name?: string; readonly protocol?: 'TCP' | 'UDP' };

/** Where pods have their addresses in these judgements: a policy that opens private ranges opens pods. */
const POD_ADDRESS = '10.244.1.7';

/** Whether a policy closes a pod in a direction without opening anything: what no other policy opens stays closed, whatever becomes of those. */
export function isClosed(policies: readonly Policy[], labels: Labels, direction: Direction): boolean {
  const isEmpty = ({ spec }: Policy): boolean => (spec.ingress ?? []).length === 0 && (spec.egress ?? []).length === 0;
  return isIsolated(policies.filter(isEmpty), labels, direction);
}

/** Whether any policy is about a pod in a direction: if not, everything is open there. */
function isIsolated(policies: readonly Policy[], labels: Labels, direction: Direction): boolean {
  return policies.some(({ spec }) => spec.policyTypes.includes(direction) && selects(spec.podSelector, labels));
}

/** Whether policies let a pod of their namespace be called by (Ingress), or call (Egress), another end at a port. */
export function allows(policies: readonly Policy[], labels: Labels, direction: Direction, other: Endpoint, port: PortOf): boolean {
  if (!isIsolated(policies, labels, direction)) return true;
  return policies.some(({ spec }) => {
    if (!spec.policyTypes.includes(direction) || !selects(spec.podSelector, labels)) return false;
    const rules = direction === 'Ingress' ? spec.ingress : spec.egress;
    return (rules ?? []).some((rule) => {
      const peers = (direction === 'Ingress' ? rule.from : rule.to) ?? [];
      return (peers.length === 0 || peers.some((peer) => isPeer(peer, other))) && isPort(rule.ports ?? [], port);
    });
  });
}

function isPeer({ podSelector, namespaceSelector, ipBlock }: Peer, other: Endpoint): boolean {
  if (ipBlock) {
    const address = other.kind === 'pod' ? POD_ADDRESS : other.address;
    return isWithin(address, ipBlock.cidr) && !(ipBlock.except ?? []).some((cidr) => isWithin(address, cidr));
  }
  if (other.kind !== 'pod') return false;
  const isNamespace = namespaceSelector ? selects(namespaceSelector, other.namespace ?? {}) : other.namespace === undefined;
  return isNamespace && (podSelector === undefined || selects(podSelector, other.labels));
}

function isPort(ports: readonly Port[], { port, name, protocol = 'TCP' }: PortOf): boolean {
  return (
    ports.length === 0 ||
    ports.some((one) => (one.protocol ?? 'TCP') === protocol && (one.port === undefined || one.port === port || one.port === name))
  );
}

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  const isExpression = ({ key, operator, values = [] }: (typeof matchExpressions)[number]): boolean => {
    const value = labels[key];
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        throw new Error(`${operator} is no operator of a selector`);
    }
  };
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value) && matchExpressions.every(isExpression);
}

function isWithin(address: string, cidr: string): boolean {
  const parsed = ipaddr.parse(address);
  const range = ipaddr.parseCIDR(cidr);
  return parsed.kind() === range[0].kind() && parsed.match(range);
}
