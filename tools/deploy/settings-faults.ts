import { readSetting } from '@evenfall/config';
import { parse, parseAllDocuments } from 'yaml';
import { parseDuration } from '@evenfall/time';
import { PROCESS_SETTINGS, type Specs } from '../service-settings.ts';
import { makeSecrets, secretSettings } from '../setup/secrets.ts';

type Env = Readonly<Record<string, string>>;

/** A service as a file of deploy/ starts it: which one, and the variables it is given. A value is undefined if only the cluster knows it. */
export type Deployed = {
  readonly where: string;
  readonly service: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Variables whose values are those of an example. */
  readonly examples?: ReadonlySet<string>;
  /** How long its supervisor waits before it kills it, by the file; undefined without a setting. */
  readonly stopWithinMs?: number | undefined;
};

/** Settings of a deployment's secrets in the form they are made in. */
const SECRETS = makeSecrets();

/** What every image sets (deploy/docker/Dockerfile). */
const OF_IMAGE: Env = { EVENFALL_HOST: '0.0.0.0' };

/** How a service of the compose file is given what `tools/setup` wrote for it. */
const ENV_FILE = '--env-file=/run/identity/settings.env';

/** Each service of a compose file that runs one of ours, with the variables of an env file put in. */
export function servicesOfCompose(text: string, variables: Env): Deployed[] {
  type Service = {
    readonly command?: readonly string[];
    readonly environment?: Readonly<Record<string, unknown>>;
    readonly stop_grace_period?: string;
  };
  const { services } = parse(text, { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
  return Object.entries(services).flatMap(([name, { command, environment, stop_grace_period: grace }]) => {
    const service = serviceOf(command);
    const env = Object.entries(environment ?? {}).map(([key, value]) => [key, interpolate(String(value), variables)] as const);
    const secrets = command?.includes(ENV_FILE) && service !== undefined ? secretSettings(service, SECRETS) : {};
    return service === undefined
      ? []
      : [
          {
            where: `compose.yaml, ${name}`,
            service,
            env: { ...Object.fromEntries(env), ...secrets },
            stopWithinMs: grace === undefined ? undefined : parseDuration(grace),
          },
        ];
  });
}

/** Each container of Kubernetes manifests that runs one of ours, with what ConfigMaps and Secrets of the same files say put in. */
export function servicesOfKubernetes(files: Readonly<Record<string, string>>): Deployed[] {
  type Ref = { readonly name: string; readonly key: string; readonly optional?: boolean };
  type Variable = {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly configMapKeyRef?: Ref; readonly secretKeyRef?: Ref };
  };
  type Source = { readonly configMapRef?: Omit<Ref, 'key'>; readonly secretRef?: Omit<Ref, 'key'> };
  type Container = { readonly args?: readonly string[]; readonly env?: readonly Variable[]; readonly envFrom?: readonly Source[] };
  type Document = {
    readonly kind: string;
    readonly metadata: { readonly name: string };
    readonly data?: Env;
    readonly stringData?: Env;
    readonly spec?: {
      readonly template?: {
        readonly spec?: { readonly containers?: readonly Container[]; readonly terminationGracePeriodSeconds?: number };
      };
    };
  };
  const documents = Object.entries(files).flatMap(([file, text]) =>
    parseAllDocuments(text).map((document) => ({ file, ...(document.toJS() as Document) })),
  );
  const known = new Map<string, string>();
  const examples = new Set<string>();
  for (const { file, kind, metadata, data, stringData } of documents)
    for (const [key, value] of Object.entries({ ...data, ...stringData })) {
      known.set(`${kind}/${metadata.name}/${key}`, value);
      if (file.includes('.example.')) examples.add(`${kind}/${metadata.name}/${key}`);
    }
  const keyOf = ({ valueFrom }: Variable): string | undefined => {
    const { configMapKeyRef: map, secretKeyRef: secret } = valueFrom ?? {};
    if (!map && !secret) return undefined;
    return map ? `ConfigMap/${map.name}/${map.key}` : `Secret/${secret?.name ?? ''}/${secret?.key ?? ''}`;
  };
  const valueOf = (where: string, variable: Variable): string | undefined => {
    const { name, value, valueFrom } = variable;
    const key = keyOf(variable);
    if (key === undefined) return value;
    const isOptional = (valueFrom?.configMapKeyRef ?? valueFrom?.secretKeyRef)?.optional === true;
    if (!known.has(key) && !isOptional) throw new Error(`${where}: ${name} is taken from ${key}, which is nowhere`);
    return known.get(key);
  };
  /** All of a ConfigMap or Secret, as variables of their own. */
  const allOf = (where: string, { configMapRef: map, secretRef: secret }: Source): Variable[] => {
    const { name, optional } = map ?? secret ?? { name: '' };
    const kind = map ? 'ConfigMap' : 'Secret';
    const keys = [...known.keys()]
      .filter((key) => key.startsWith(`${kind}/${name}/`))
      .map((key) => key.slice(kind.length + name.length + 2));
    if (keys.length === 0 && optional !== true) throw new Error(`${where}: takes all of ${kind}/${name}, which is nowhere`);
    return keys.map((key) => ({ name: key, valueFrom: { [map ? 'configMapKeyRef' : 'secretKeyRef']: { name, key } } }));
  };
  return documents.flatMap(({ file, spec }) =>
    (spec?.template?.spec?.containers ?? []).flatMap(({ args, env = [], envFrom = [] }) => {
      const seconds = spec?.template?.spec?.terminationGracePeriodSeconds;
      const service = serviceOf(args);
      const where = `${file}, ${service ?? ''}`;
      const variables = [...envFrom.flatMap((source) => allOf(where, source)), ...env];
      const values = variables.map((variable) => [variable.name, valueOf(where, variable)] as const);
      const ofExamples = variables.filter((variable) => examples.has(keyOf(variable) ?? '')).map(({ name }) => name);
      return service === undefined
        ? []
        : [
            {
              where,
              service,
              env: Object.fromEntries(values),
              examples: new Set(ofExamples),
              stopWithinMs: seconds === undefined ? undefined : seconds * 1_000,
            },
          ];
    }),
  );
}

/** What is wrong with the variables of a service, by its own settings: names it does not read, values that are not of their form. */
export function settingsFaults({ where, service, env, examples }: Deployed): string[] {
  const specs: Specs | undefined = (PROCESS_SETTINGS as Readonly<Record<string, Specs>>)[service];
  if (!specs) return [`${where}: there is no service ${service}`];
  const byName = new Map(Object.values(specs).map((spec) => [spec.name, spec]));
  return Object.entries({ ...OF_IMAGE, ...env }).flatMap(([name, value]) => {
    if (!name.startsWith('EVENFALL_')) return [];
    const spec = byName.get(name);
    if (!spec) return [`${where}: ${name} is nothing the ${service} reads`];
    if (value === undefined || value === '') return []; // an empty one is none
    if (spec.secret === true && examples?.has(name) === true && 'value' in readSetting(spec, value))
      return [`${where}: ${name} of the example would be taken for a secret; write a placeholder`];
    // Placeholders have the form of the values they replace.
    const result = examples?.has(name) === true ? spec.parse(value) : readSetting(spec, value);
    return 'fault' in result ? [`${where}: ${name} is ${result.fault}; write ${spec.form}`] : [];
  });
}

/** What an agent takes to leave, beyond its drain: the last hooks, the last outcomes. */
const LEAVING_MS = 15_000;

/** Whether an agent would be killed in the middle of its drain. */
export function drainFaults({ where, service, env, stopWithinMs }: Deployed): string[] {
  if (service !== 'instance-agent') return [];
  const spec = PROCESS_SETTINGS['instance-agent'].drainDeadlineMs;
  const parsed = spec.parse(env[spec.name] ?? spec.fallback ?? '');
  const deadlineMs = 'value' in parsed ? (parsed.value ?? 0) : 0; // what does not parse is a fault of its own
  if (stopWithinMs !== undefined && stopWithinMs >= deadlineMs + LEAVING_MS) return [];
  return [`${where}: it has ${stopWithinMs ?? 'no'} ms to stop; ${spec.name} and leaving take ${deadlineMs + LEAVING_MS} ms`];
}

/** The service that a command starts; undefined if it is none. */
export function serviceOf(command: readonly string[] | undefined): string | undefined {
  return /^services\/([\w-]+)\/src\/main\.ts$/.exec(command?.find((part) => !part.startsWith('-')) ?? '')?.[1];
}

/** As Compose does: `${NAME}`, `${NAME:-default}`, `${NAME:?why}`. */
function interpolate(text: string, variables: Env): string {
  return text.replace(/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}/g, (_, name: string, fallback?: string) => {
    const value = variables[name] ?? fallback;
    if (value === undefined) throw new Error(`${name} is not in env.example`);
    return value;
  });
}
