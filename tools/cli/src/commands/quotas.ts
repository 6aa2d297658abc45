import type { KeyQuotaAnswer, LimitsAnswer, NamespaceQuotaAnswer, RateAnswer } from '../answers.ts';
import type { Context } from '../context.ts';
import { Failure } from '../failure.ts';
import { table, timeText } from '../terminal.ts';

export type QuotaOptions = {
  readonly rate?: string;
  readonly burst?: string;
  readonly queued?: string;
  readonly functions?: string;
  readonly versions?: string;
  readonly codeBytes?: string;
  readonly instances?: string;
};

/** Options, and the fields they set; the last one is of namespaces alone. */
const FIELDS = [
  ['rate', 'events_per_second'],
  ['burst', 'burst'],
  ['queued', 'queued_events'],
  ['functions', 'functions'],
  ['versions', 'versions'],
  ['codeBytes', 'code_bytes'],
  ['instances', 'instances'],
] as const;

/** Sets a quota as a whole: what is left out is not limited. */
export async function setQuota(context: Context, scope: string, name: string, options: QuotaOptions): Promise<void> {
  const json: Record<string, number> = {};
  for (const [option, field] of FIELDS) {
    const text = options[option];
    if (text === undefined) continue;
    if (!/^\d{1,16}$/.test(text)) throw new Failure(`"${text}" is not a number.`, 2);
    json[field] = Number(text);
  }
  const path = pathOf(scope, name);
  if (scope === 'key') context.terminal.show(await context.api.call<KeyQuotaAnswer>('PUT', path, { json }), keyText);
  else context.terminal.show(await context.api.call<NamespaceQuotaAnswer>('PUT', path, { json }), namespaceText);
}

export async function getQuota(context: Context, scope: string, name: string): Promise<void> {
  const path = pathOf(scope, name);
  if (scope === 'key') context.terminal.show(await context.api.call<KeyQuotaAnswer>('GET', path), keyText);
  else context.terminal.show(await context.api.call<NamespaceQuotaAnswer>('GET', path), namespaceText);
}

export async function deleteQuota(context: Context, scope: string, name: string): Promise<void> {
  await context.api.call('DELETE', pathOf(scope, name));
  context.terminal.show({ deleted: name, scope }, () => `${scope} ${name} has no quota of its own`);
}

/** Lists all quotas that are set; those of keys only to who may see them. */
export async function listQuotas(context: Context, options: { readonly keys?: boolean }): Promise<void> {
  const { color } = context.terminal;
  if (options.keys) {
    const found = { key_quotas: await context.api.all<KeyQuotaAnswer>('/v1/key-quotas', 'key_quotas') };
    context.terminal.show(found, ({ key_quotas: quotas }) => {
      if (quotas.length === 0) return 'No access key has a quota.';
      const rows = quotas.map((one) => [one.key_id, rateText(one), ...limitTexts(one), timeText(one.update_time)]);
      return table(['KEY', 'EVENTS', ...LIMIT_HEADS, 'SET'], rows, color);
    });
    return;
  }
  const found = { namespace_quotas: await context.api.all<NamespaceQuotaAnswer>('/v1/namespace-quotas', 'namespace_quotas') };
  context.terminal.show(found, ({ namespace_quotas: quotas }) => {
    if (quotas.length === 0) return 'No namespace has a quota.';
    const rows = quotas.map((one) => [
      one.namespace,
      rateText(one),
      ...limitTexts(one),
      limitText(one.instances),
      timeText(one.update_time),
    ]);
    return table(['NAMESPACE', 'EVENTS', ...LIMIT_HEADS, 'INSTANCES', 'SET'], rows, color);
  });
}

function pathOf(scope: string, name: string): string {
  const written = encodeURIComponent(name.toWellFormed()).replace('%2A', '*');
  if (scope === 'namespace') return `/v1/namespaces/${written}/quota`;
  if (scope === 'key') return `/v1/access-keys/${written}/quota`;
  throw new Failure(`A quota is of a "namespace" or a "key", not of a "${scope}".`, 2);
}

const LIMIT_HEADS = ['QUEUED', 'FUNCTIONS', 'VERSIONS', 'CODE BYTES'];

function limitTexts(quota: LimitsAnswer): string[] {
  return [quota.queued_events, quota.functions, quota.versions, quota.code_bytes].map(limitText);
}

function namespaceText(quota: NamespaceQuotaAnswer): string {
  return `namespace ${quota.namespace}${limitsText(quota)}\n  instances   ${limitText(quota.instances)}`;
}

function keyText(quota: KeyQuotaAnswer): string {
  return `key ${quota.key_id}${limitsText(quota)}`;
}

function limitsText(quota: LimitsAnswer): string {
  const { usage } = quota;
  const used = (count: number | undefined): string => (count === undefined ? '' : `, ${count} used`);
  return [
    quota.is_default ? ' (the default)' : '',
    `  events      ${rateText(quota)}`,
    `  queued      ${limitText(quota.queued_events)}`,
    `  functions   ${limitText(quota.functions)}${used(usage?.functions)}`,
    `  versions    ${limitText(quota.versions)}${used(usage?.versions)}`,
    `  code bytes  ${limitText(quota.code_bytes)}${used(usage?.code_bytes)}`,
  ].join('\n');
}

function rateText({ events_per_second: rate, burst }: RateAnswer): string {
  if (rate === null) return 'no limit';
  return `${rate} a second${burst === null ? '' : `, ${burst} at once`}`;
}

function limitText(limit: number | null): string {
  return limit === null ? 'no limit' : String(limit);
}
