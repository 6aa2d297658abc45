import {
  choice,
  duration,
  integer,
  isLoopback,
  list,
  readSettings,
  type SettingsCheck,
  SettingsError,
  type SettingsOf,
  text,
} from '@evenfall/config';
import { allowedHostsSetting, peerSettings, portsCheck, processSettings, TLS_CHECK } from '@evenfall/service-main/settings';
import type { AccessKey } from './api/access.ts';
import { ISSUER, issuersOf } from './domain/issuer-list.ts';
import { ROLE_RULE, roleRuleOf } from './domain/token-rights.ts';
import { isTrustworthy, type TokenSettings } from './domain/token-settings.ts';

/** Settings of the APIs, as they are written in the environment. */
export const GATEWAY_SETTINGS = {
  host: text({
    name: 'EVENFALL_HOST',
    doc: 'Address the APIs listen on.',
    fallback: '127.0.0.1',
    pattern: /^[\w.:-]+$/,
    form: 'an address or host name',
  }),
  httpPort: integer({
    name: 'EVENFALL_HTTP_PORT',
    doc: 'Port of the REST API; 0 picks a free one.',
    fallback: '8080',
    min: 0,
    max: 65_535,
  }),
  grpcPort: integer({
    name: 'EVENFALL_GRPC_PORT',
    doc: 'Port of the gRPC API; 0 picks a free one.',
    fallback: '9090',
    min: 0,
    max: 65_535,
  }),
  allowedHosts: allowedHostsSetting,
  accessKeys: list({
    name: 'EVENFALL_ACCESS_KEYS',
    doc: 'Access keys of the APIs. Unset, the all-in-one program makes one at its first start, in the file `access-key` of its data folder; the gateway as a process of its own does not start.',
    fallback: undefined,
    secret: true,
    pattern: /^[\w.-]{1,64}:[^\s:,]{8,256}$/,
    form: 'keys as "id:secret", comma separated, with secrets of at least 8 characters',
  }),
  open: choice({
    name: 'EVENFALL_OPEN',
    doc: 'With `yes` the APIs need no key: every program on this machine may do everything. On loopback only, and not together with access keys.',
    fallback: 'no',
    choices: ['yes', 'no'],
  }),
  accessKeysMaxAgeMs: duration({
    name: 'EVENFALL_ACCESS_KEYS_MAX_AGE',
    doc: 'How long access keys of the registry are good while it cannot be reached, for one may be revoked meanwhile; then they are refused as 503.',
    fallback: '60s',
    minMs: 5_000,
    maxMs: 24 * 3_600_000,
  }),
  oidcIssuer: text({
    name: 'EVENFALL_OIDC_ISSUER',
    doc: 'Issuer of tokens that the REST and gRPC APIs accept beside access keys, exactly as the tokens name it. Its keys are found by OpenID Connect discovery. Unset, no tokens are taken.',
    fallback: undefined,
    pattern: ISSUER,
    form: 'an https address; http on this machine alone',
  }),
  oidcAudience: text({
    name: 'EVENFALL_OIDC_AUDIENCE',
    doc: 'What tokens have to name as their audience (`aud`). Needed with an issuer.',
    fallback: undefined,
    pattern: /^\S{1,256}$/,
    form: 'a name without blanks',
  }),
  oidcClaim: text({
    name: 'EVENFALL_OIDC_CLAIM',
    doc: 'The claim that says what a token may do: a text, or a list of texts. With dots also a path, as in `realm_access.roles`.',
    fallback: 'groups',
    pattern: /^\S{1,256}$/,
    form: 'the name of a claim',
  }),
  oidcRoles: list({
    name: 'EVENFALL_OIDC_ROLES',
    doc: 'What values of that claim give: a role and its namespaces, as in `team-a-devs=deployer@team-a+team-a-test,auditors=viewer+payloads@*`. A token with several of them may do what each gives; one with none may do nothing. Needed with an issuer.',
    fallback: undefined,
    pattern: ROLE_RULE,
    form: 'rules as "value=role@namespace+namespace", comma separated, with "*" for all namespaces',
  }),
  oidcIssuers: text({
    name: 'EVENFALL_OIDC_ISSUERS',
    doc: 'Further issuers, or all of them, as a JSON list: `[{"name": "ci", "issuer": "https://token.actions.example.com", "audience": "evenfall", "claim": "repository", "roles": ["org/shop=deployer@shop"]}]`, at most 16. `claim` is `groups` by default; `name` is part of the ids of its subjects (`oidc.ci:…`).',
    fallback: undefined,
    form: 'a JSON list of issuers',
  }),
  oidcKeysMaxAgeMs: duration({
    name: 'EVENFALL_OIDC_KEYS_MAX_AGE',
    doc: 'How long tokens are checked by keys that could not be fetched anew, while the issuer is away; then tokens are refused.',
    fallback: '1h',
    minMs: 10 * 60_000,
    maxMs: 24 * 3_600_000,
  }),
  oidcMaxLifetimeMs: duration({
    name: 'EVENFALL_OIDC_MAX_LIFETIME',
    doc: 'How far away the end of a token may be; one that is good for longer is refused, since a token that was revoked at its issuer is good until its end.',
    fallback: '24h',
    minMs: 60_000,
    maxMs: 366 * 24 * 3_600_000,
  }),
  maxConnections: integer({
    name: 'EVENFALL_MAX_CONNECTIONS',
    doc: 'Connections that the HTTP and gRPC APIs have open at the same time, all callers together; further ones are closed.',
    fallback: '8192',
    min: 16,
    max: 1_000_000,
  }),
  maxConnectionsPerAddress: integer({
    name: 'EVENFALL_MAX_CONNECTIONS_PER_ADDRESS',
    doc: 'The same of one IPv4 address, or one IPv6 network of 64 bits. Behind a proxy all callers have the address of the proxy.',
    fallback: '2048',
    min: 16,
    max: 1_000_000,
  }),
  maxPayloadBytes: integer({
    name: 'EVENFALL_MAX_PAYLOAD_BYTES',
    doc: 'Largest payload of an asynchronous event, in bytes.',
    fallback: '131072',
    min: 1_024,
    max: 1_048_576,
  }),
  scfBehindTls: choice({
    name: 'EVENFALL_SCF_BEHIND_TLS',
    doc: 'With `yes` a proxy in front of the APIs ends TLS. Else the SCF-compatible API accepts requests from this machine only: a signed request can be sent again by anyone who reads it.',
    fallback: 'no',
    choices: ['yes', 'no'],
  }),
  scfTimeZone: text({
    name: 'EVENFALL_SCF_TIME_ZONE',
    doc: 'Time zone of the times at the SCF-compatible API, which name none.',
    fallback: 'Asia/Shanghai',
    pattern: /^[A-Za-z][\w+/-]{0,63}$/,
    form: 'a name of the tz database, such as "Asia/Shanghai" or "UTC"',
  }),
};

/** What the gateway is started with. */
export type GatewaySettings = {
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Names of hosts the APIs answer for, beside addresses and `localhost`. */
  readonly allowedHosts: readonly string[];
  /** Empty only where the APIs are open. */
  readonly accessKeys: readonly AccessKey[];
  /** How long keys of the registry are good while it cannot be reached. */
  readonly accessKeysMaxAgeMs: number;
  /** Whether callers need no key. */
  readonly isOpen: boolean;
  /** What tokens of each issuer have to be; empty where none are taken. */
  readonly oidc: readonly TokenSettings[];
  /** Connections at the same time, in all and of one address. */
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Bytes of one asynchronous payload: 128 KiB by default, at most 1 MiB. */
  readonly maxPayloadBytes: number;
  /** Whether a proxy with TLS is in front, so that signed requests of other machines can be taken. */
  readonly isScfBehindTls: boolean;
  /** Name in the tz database. */
  readonly scfTimeZone: string;
};

/** Puts the read settings into the form the service takes. */
export function gatewaySettings(values: SettingsOf<typeof GATEWAY_SETTINGS>): GatewaySettings {
  return {
    ...values,
    allowedHosts: values.allowedHosts ?? [],
    accessKeys: (values.accessKeys ?? []).map(accessKeyOf),
    isOpen: values.open === 'yes',
    isScfBehindTls: values.scfBehindTls === 'yes',
    oidc: tokenSettings(values),
  };
}

function tokenSettings(values: SettingsOf<typeof GATEWAY_SETTINGS>): readonly TokenSettings[] {
  const {
    oidcIssuer: issuer,
    oidcAudience: audience,
    oidcRoles: roles,
    oidcClaim: claim,
    oidcKeysMaxAgeMs: keysMaxAgeMs,
    oidcMaxLifetimeMs: maxLifetimeMs,
  } = values;
  // One without the others is refused before.
  const single =
    issuer === undefined || audience === undefined || roles === undefined
      ? []
      : [{ name: undefined, issuer, audience, rights: { claim, rules: roles.map(roleRuleOf) } }];
  const listed = values.oidcIssuers === undefined ? [] : issuersOf(values.oidcIssuers).issuers;
  return [...single, ...listed].map((one) => ({ ...one, keysMaxAgeMs, maxLifetimeMs }));
}

/** Reads a key of the form "id:secret". */
export function accessKeyOf(key: string): AccessKey {
  const colon = key.indexOf(':');
  return { id: key.slice(0, colon), secret: key.slice(colon + 1) };
}

/** Refuses APIs that are open to a network: with the other faults of the settings. */
export const GATEWAY_CHECKS: readonly SettingsCheck<typeof GATEWAY_SETTINGS>[] = [
  {
    of: ['host', 'accessKeys', 'open'],
    fault: ({ host, accessKeys, open }) => (open === 'yes' ? opennessFault(host, accessKeys ?? []) : undefined),
  },
  { of: ['oidcIssuer', 'oidcAudience', 'oidcRoles', 'open'], fault: oidcFault },
  { of: ['oidcIssuer', 'oidcIssuers', 'open'], fault: issuersFault },
  { of: ['scfTimeZone'], fault: ({ scfTimeZone }) => zoneFault(scfTimeZone) },
];

/** Refuses to start without a key: for a gateway that has no folder to keep one in. */
const KEY_CHECK: SettingsCheck<typeof GATEWAY_SETTINGS> = {
  of: ['accessKeys', 'open'],
  fault: ({ accessKeys, open }) => (open === 'yes' || accessKeys !== undefined ? undefined : NO_KEY),
};

const NO_KEY =
  'EVENFALL_ACCESS_KEYS is not set: the APIs need keys, the same ones at every gateway; write keys as "id:secret", such as EVENFALL_ACCESS_KEYS=ops:$(openssl rand -hex 24)';

/** Checked again when the APIs start: a list of keys that is empty by mistake gives access to no caller. */
export function checkOpenness({ host, accessKeys, isOpen }: Pick<GatewaySettings, 'host' | 'accessKeys' | 'isOpen'>): void {
  const fault = isOpen ? opennessFault(host, accessKeys) : accessKeys.length === 0 ? NO_KEY : undefined;
  if (fault !== undefined) throw new SettingsError([fault]);
}

function opennessFault(host: string, accessKeys: readonly unknown[]): string | undefined {
  if (accessKeys.length > 0)
    return 'EVENFALL_OPEN="yes" and EVENFALL_ACCESS_KEYS are both set: the APIs need a key or they do not; remove one of them';
  if (isLoopback(host)) return undefined;
  return `EVENFALL_HOST="${host}" with EVENFALL_OPEN="yes": others than this machine could call without a key; take EVENFALL_OPEN away, or listen on 127.0.0.1`;
}

type OidcSettings = Pick<SettingsOf<typeof GATEWAY_SETTINGS>, 'oidcIssuer' | 'oidcAudience' | 'oidcRoles' | 'open'>;

/** A part of the settings alone would accept tokens of others, or none. */
function oidcFault({ oidcIssuer: issuer, oidcAudience: audience, oidcRoles: roles, open }: OidcSettings): string | undefined {
  const isSet = [issuer, audience, roles].map((one) => one !== undefined);
  if (!isSet.includes(true)) return undefined;
  if (isSet.includes(false) || issuer === undefined)
    return 'EVENFALL_OIDC_ISSUER, EVENFALL_OIDC_AUDIENCE and EVENFALL_OIDC_ROLES go together: some of them are not set';
  if (open === 'yes')
    return 'EVENFALL_OPEN="yes" and EVENFALL_OIDC_ISSUER are both set: the APIs identify callers or they do not; remove one of them';
  return isTrustworthy(issuer)
    ? undefined
    : `EVENFALL_OIDC_ISSUER="${issuer}": its keys would be fetched without TLS; write an https address`;
}

function issuersFault({
  oidcIssuers: json,
  oidcIssuer: single,
  open,
}: Pick<SettingsOf<typeof GATEWAY_SETTINGS>, 'oidcIssuer' | 'oidcIssuers' | 'open'>): string | undefined {
  if (json === undefined) return undefined;
  if (open === 'yes')
    return 'EVENFALL_OPEN="yes" and EVENFALL_OIDC_ISSUERS are both set: the APIs identify callers or they do not; remove one of them';
  const { issuers, faults } = issuersOf(json);
  const isTwice = issuers.some(({ issuer }) => issuer === single);
  const all = [...faults, ...(isTwice ? [`"${single}" is the one of EVENFALL_OIDC_ISSUER, too`] : [])];
  return all.length === 0 ? undefined : `EVENFALL_OIDC_ISSUERS: ${all.join('; ')}`;
}

function zoneFault(name: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return undefined;
  } catch {
    return `EVENFALL_SCF_TIME_ZONE="${name}": there is no such time zone; write one as in "Asia/Shanghai" or "UTC"`;
  }
}

/** Everything the gateway reads as a process of its own. */
export const gatewayProcess = { ...processSettings('gateway'), ...peerSettings, ...GATEWAY_SETTINGS };

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  const settings = readSettings(gatewayProcess, env, [
    ...GATEWAY_CHECKS,
    KEY_CHECK,
    TLS_CHECK,
    portsCheck('httpPort', 'grpcPort', 'metricsPort'),
  ]);
  return { ...settings, gateway: gatewaySettings(settings) };
}
