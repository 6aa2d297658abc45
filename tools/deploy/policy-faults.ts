import { callersOfServer, type Caller } from '@evenfall/service-main/rights';
import { SERVICES } from '@evenfall/peer-identity';
import { parseAllDocuments } from 'yaml';
import { allows, type Direction, type Endpoint, isClosed, type Policy, type PortOf } from './network-policies.ts';
import { serviceOf } from './settings-faults.ts';

type Labels = Readonly<Record<string, string>>;
type Workload = {
  readonly kind: string;
  readonly data?: Labels;
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template?: {
      readonly metadata?: { readonly labels?: Labels };
      readonly spec?: {
        readonly containers?: readonly {
          readonly args?: readonly string[];
          readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
        }[];
      };
    };
  };
};
type Pod = {
  readonly name: string;
  readonly service: string;
  readonly labels: Labels;
  readonly ports: readonly { readonly name?: string; readonly containerPort: number }[];
};

/** Addresses that nothing of ours may call: private, shared, link-local, loopback, and IPv6 that means one of them. */
const CLOSED = [
  '0.0.0.1', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.1', '192.0.0.8', '192.168.1.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255',
  '::1', '::ffff:10.1.2.3', '64:ff9b::a9fe:a9fe', '64:ff9b:1::a01:203', 'fc00::1', 'fd00:ec2::254', 'fe80::1', 'fec0::1', 'ff02::1', '2002:a01:203::1', '2001::1',
] as const; // prettier-ignore
const PUBLIC = ['93.184.216.34', '2606:4700::1111'] as const;
/** Who calls what is on the internet: functions, and webhooks. */
const CALLS_OUT: ReadonlySet<string> = new Set(['instance-agent', 'queue']);
const STORES = [
  { name: 'postgres', port: 5432, users: ['registry', 'event-store'] },
  { name: 'kafka', port: 9092, users: ['event-store', 'queue'] },
] as const;
const DNS: Endpoint = { kind: 'pod', labels: { 'k8s-app': 'kube-dns' }, namespace: { 'kubernetes.io/metadata.name': 'kube-system' } };
const STRANGERS: readonly Endpoint[] = [
  { kind: 'pod', labels: {} },
  { kind: 'pod', labels: { app: 'web' }, namespace: { 'kubernetes.io/metadata.name': 'default' } },
  { kind: 'address', address: '10.0.0.9' },
  { kind: 'address', address: '93.184.216.34' },
];

/**
 * What is wrong with the network policies of manifests: each pod is closed in both directions but for the calls of the table of rights, what it keeps
 * something in, names, and the internet without private ranges where it calls that. APIs are open to all, except where TLS ends in front of them.
 */
export function policyFaults(files: Readonly<Record<string, string>>): string[] {
  const documents = Object.values(files).flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Workload | Policy)); // checked against the schemas before
  const policies = documents.filter((document): document is Policy => document.kind === 'NetworkPolicy');
  const isBehindTls = documents.some((document) => document.kind === 'ConfigMap' && document.data?.['EVENFALL_SCF_BEHIND_TLS'] === 'yes'); // it is no policy
  const pods = documents.filter((document): document is Workload => document.kind !== 'NetworkPolicy').flatMap(podsOf);
  return [
    ...SERVICES.flatMap((service) => (pods.some((pod) => pod.service === service) ? [] : [`deploy/k8s: there is no ${service}`])),
    ...pods.flatMap((pod) => [
      ...isolationFaults(policies, pod),
      ...egressFaults(policies, pod),
      ...ingressFaults(policies, pod, pods, isBehindTls),
    ]),
  ];
}

function podsOf({ spec }: Workload): Pod[] {
  const template = spec?.template;
  return (template?.spec?.containers ?? []).flatMap(({ args, ports = [] }) => {
    const service = serviceOf(args);
    const labels = template?.metadata?.labels ?? {};
    return service === undefined ? [] : [{ name: `deploy/k8s, ${service}`, service, labels, ports }];
  });
}

function isolationFaults(policies: readonly Policy[], { name, labels }: Pod): string[] {
  const directions: readonly Direction[] = ['Ingress', 'Egress'];
  return directions
    .filter((direction) => !isClosed(policies, labels, direction))
    .map((direction) => `${name}: no policy closes its ${direction}`);
}

function egressFaults(policies: readonly Policy[], { name, service, labels }: Pod): string[] {
  const faults: string[] = [];
  const expect = (what: string, to: Endpoint, port: PortOf, wanted: boolean): void => {
    if (allows(policies, labels, 'Egress', to, port) !== wanted)
      faults.push(`${name}: ${wanted ? 'its policies do not let it call' : 'its policies let it call'} ${what} at ${port.port}`);
  };
  for (const protocol of ['TCP', 'UDP'] as const) expect(`the cluster's DNS (${protocol})`, DNS, { port: 53, protocol }, true);
  for (const { name: store, port, users } of STORES)
    expect(store, { kind: 'pod', labels: { 'app.kubernetes.io/name': store } }, { port }, (users as readonly string[]).includes(service));
  for (const address of CLOSED) {
    for (const port of [53, 80, 443, 5432, 9092, 10_250]) expect(address, { kind: 'address', address }, { port }, false);
    expect(address, { kind: 'address', address }, { port: 53, protocol: 'UDP' }, false);
  }
  for (const address of PUBLIC) expect(address, { kind: 'address', address }, { port: 443 }, CALLS_OUT.has(service));
  expect(
    'a pod of another namespace',
    { kind: 'pod', labels: {}, namespace: { 'kubernetes.io/metadata.name': 'other' } },
    { port: 443 },
    false,
  );
  return faults;
}

function ingressFaults(
  policies: readonly Policy[],
  { name, service, labels, ports }: Pod,
  pods: readonly Pod[],
  isBehindTls: boolean,
): string[] {
  const faults: string[] = [];
  const callers: readonly Caller[] = SERVICES.some((one) => one === service)
    ? callersOfServer(service as Caller & (typeof SERVICES)[number])
    : []; // it is one of them
  for (const { name: portName, containerPort: port } of ports) {
    const isEntryPoint = service === 'gateway' && portName !== 'metrics';
    const at: PortOf = { port, ...(portName === undefined ? {} : { name: portName }) };
    for (const caller of pods) {
      const kind = caller.service === 'instance-agent' ? 'agent' : caller.service;
      const wanted = portName === 'grpc' && !isEntryPoint && callers.some((one) => one === kind);
      const isLetOut = allows(policies, caller.labels, 'Egress', { kind: 'pod', labels }, at);
      const isLetIn = allows(policies, labels, 'Ingress', { kind: 'pod', labels: caller.labels }, at);
      if (isLetOut !== wanted) faults.push(`${name}: ${caller.service} is ${wanted ? 'not let' : 'let'} out to its port ${port}`);
      if (!isEntryPoint && isLetIn !== wanted)
        faults.push(`${name}: ${caller.service} is ${wanted ? 'not let' : 'let'} in at its port ${port}`);
    }
    for (const stranger of STRANGERS)
      if (allows(policies, labels, 'Ingress', stranger, at) !== (isEntryPoint && !isBehindTls))
        faults.push(
          `${name}: ${isEntryPoint && !isBehindTls ? 'callers cannot reach' : 'strangers reach'} its port ${port} (${JSON.stringify(stranger)})`,
        );
  }
  return faults;
}
