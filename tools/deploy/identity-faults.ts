import { identityUri, SERVICES } from '@evenfall/peer-identity';
import { parseAllDocuments } from 'yaml';
import { serviceOf } from './settings-faults.ts';

type Mount = { readonly name: string; readonly mountPath: string; readonly subPathExpr?: string };
type Volume = {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
  readonly csi?: { readonly volumeAttributes?: Readonly<Record<string, string>> };
  readonly projected?: unknown;
};
type Variable = {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
};
type Container = { readonly args?: readonly string[]; readonly env?: readonly Variable[]; readonly volumeMounts?: readonly Mount[] };
type Document = {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly containers?: readonly Container[]; readonly volumes?: readonly Volume[] } };
    readonly secretName?: string;
    readonly uris?: readonly string[];
    readonly isCA?: boolean;
  };
};

const SECRET = /^evenfall-[\w-]+-tls$/;
/** Secrets of certificates that are not identities of services. */
const STORES: ReadonlySet<string> = new Set(['evenfall-postgres-tls', 'evenfall-kafka-tls']);
const AGENT_URI = 'spiffe://evenfall/agent/${POD_NAME}';

/** What is wrong with the certificates of manifests: each pod mounts its own identity and no other, at the files that its settings name. */
export function identityFaults(files: Readonly<Record<string, string>>): string[] {
  const documents = Object.values(files).flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Document)); // checked against the schemas before
  const certificates = documents.filter(({ kind, spec }) => kind === 'Certificate' && spec?.isCA !== true);
  return [...documents.flatMap(podFaults), ...(certificates.length > 0 ? certificateFaults(certificates) : [])];
}

function podFaults({ metadata, spec }: Document): string[] {
  const pod = spec?.template?.spec;
  const volumes = new Map((pod?.volumes ?? []).map((volume) => [volume.name, volume]));
  return (pod?.containers ?? []).flatMap(({ args, env = [], volumeMounts = [] }) => {
    const service = serviceOf(args);
    if (service === undefined) return [];
    const faults: string[] = [];
    for (const name of ['EVENFALL_TLS_CA', 'EVENFALL_TLS_CERT', 'EVENFALL_TLS_KEY']) {
      const file = env.find((variable) => variable.name === name)?.value;
      const mount = volumeMounts.find(({ mountPath }) => file?.startsWith(`${mountPath}/`));
      const volume = volumes.get(mount?.name ?? '');
      if (!volume) faults.push(`${metadata.name}: ${name} is ${file ?? 'not set'}, where nothing is mounted`);
      else faults.push(...(service === 'instance-agent' ? agentFaults(metadata.name, mount, volume, env) : serviceFaults(service, volume)));
    }
    const others = [...volumes.values()].flatMap(({ secret }) => (secret ? [secret.secretName] : []));
    for (const secret of others.filter((name) => SECRET.test(name) && !STORES.has(name)))
      if (secret !== `evenfall-${service}-tls`) faults.push(`${metadata.name}: it mounts ${secret}, which is not its own`);
    return [...new Set(faults)];
  });
}

function serviceFaults(service: string, { secret }: Volume): string[] {
  const own = `evenfall-${service}-tls`;
  return secret?.secretName === own
    ? []
    : [`evenfall-${service}: its certificate is that of ${secret?.secretName ?? 'no Secret'}, not of ${own}`];
}

/** An agent's name is that in its certificate: the pod's, by the CSI driver, or the node's, by the folder of that name. */
function agentFaults(where: string, mount: Mount | undefined, { csi, projected }: Volume, env: readonly Variable[]): string[] {
  const field = env.find(({ name }) => name === 'EVENFALL_AGENT_NAME')?.valueFrom?.fieldRef?.fieldPath;
  if (csi) {
    const uri = csi.volumeAttributes?.['csi.cert-manager.io/uri-sans'];
    return uri === AGENT_URI && field === 'metadata.name'
      ? []
      : [`${where}: the name in its certificate (${uri ?? 'none'}) is not the agent's (${field ?? 'none'})`];
  }
  return projected !== undefined && mount?.subPathExpr === '$(EVENFALL_AGENT_NAME)'
    ? []
    : [`${where}: it sees certificates of other agents`];
}

function certificateFaults(certificates: readonly Document[]): string[] {
  const bySecret = new Map(certificates.map(({ spec }) => [spec?.secretName ?? '', spec?.uris ?? []]));
  const missing = SERVICES.flatMap((service) => {
    const uris = bySecret.get(`evenfall-${service}-tls`);
    return uris?.join() === identityUri(service)
      ? []
      : [`evenfall-${service}-tls: its certificate ${uris?.length ? `is of ${uris.join()}` : 'has no identity'}`];
  });
  const more =
    certificates.length === SERVICES.length ? [] : [`there are ${certificates.length} certificates of ${SERVICES.length} services`];
  return [...missing, ...more];
}
