import type { AuditRecordAnswer, KeyAnswer, NewKeyAnswer } from '../answers.ts';
import type { Context } from '../context.ts';
import { table, timeText } from '../terminal.ts';

export type CreateKeyOptions = {
  readonly id?: string;
  readonly role: string;
  readonly on?: readonly string[];
  readonly description?: string;
  readonly expires?: string;
  readonly scf?: boolean;
  readonly payloads?: boolean;
};

export type AuditOptions = {
  readonly key?: string;
  readonly action?: string;
  readonly in?: string;
  readonly subject?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
  readonly pageToken?: string;
};

const KEYS = '/v1/access-keys';
const pathOf = (id: string): string => `${KEYS}/${encodeURIComponent(id.toWellFormed())}`;

/** Makes a key and shows its secret, which nothing shows again. */
export async function createKey(context: Context, options: CreateKeyOptions): Promise<void> {
  const made = await context.api.call<NewKeyAnswer>('POST', KEYS, {
    json: {
      ...(options.id === undefined ? {} : { id: options.id }),
      role: options.role.toUpperCase(),
      namespaces: options.on ?? [context.namespace],
      ...(options.description === undefined ? {} : { description: options.description }),
      ...(options.expires === undefined ? {} : { time_to_live: options.expires }),
      ...(options.scf ? { scf: true } : {}),
      ...(options.payloads ? { show_payloads: true } : {}),
    },
  });
  showSecret(context, made);
}

export async function listKeys(context: Context): Promise<void> {
  const answer = { access_keys: await context.api.all<KeyAnswer>(KEYS, 'access_keys') };
  context.terminal.show(answer, ({ access_keys: keys }) => {
    if (keys.length === 0) return 'There are no access keys but those of the settings.';
    const rows = keys.map((key) => [
      key.id,
      `${key.role}${key.show_payloads ? ' with payloads' : ''}${key.scf ? ', SCF' : ''}`,
      key.namespaces.join(', '),
      stateOf(key),
      key.description,
    ]);
    return table(['KEY', 'ROLE', 'NAMESPACES', 'STATE', 'DESCRIPTION'], rows, context.terminal.color);
  });
}

export async function rotateKey(context: Context, id: string, options: { readonly overlap?: string }): Promise<void> {
  const json = options.overlap === undefined ? {} : { overlap: options.overlap };
  showSecret(context, await context.api.call<NewKeyAnswer>('POST', `${pathOf(id)}:rotate`, { json }));
}

export async function revokeKey(context: Context, id: string): Promise<void> {
  const key = await context.api.call<KeyAnswer>('POST', `${pathOf(id)}:revoke`);
  context.terminal.show(key, ({ id }) => `Access key ${id} is revoked.`);
}

/** Lists who changed what. */
export async function listAudit(context: Context, options: AuditOptions): Promise<void> {
  const page = await context.api.call<{ audit_records: readonly AuditRecordAnswer[]; next_page_token: string }>(
    'GET',
    '/v1/audit-records',
    {
      query: {
        key_id: options.key,
        action: options.action,
        namespace: options.in,
        subject: options.subject,
        start_time: options.since,
        end_time: options.until,
        page_size: options.limit,
        page_token: options.pageToken,
      },
    },
  );
  context.terminal.show(page, ({ audit_records: records, next_page_token: token }) => {
    if (records.length === 0) return 'No records.';
    const { color } = context.terminal;
    const rows = records.map((one) => [
      timeText(one.time),
      one.key_id,
      `${one.api} ${one.address}`,
      one.operation,
      [one.namespace, one.subject].filter((part) => part !== null).join('/'),
      one.outcome === 'OK' ? color.green(one.outcome) : color.red(one.outcome),
    ]);
    const more = token ? `\n${color.dim(`more: --page-token ${token}`)}` : '';
    return `${table(['TIME', 'KEY', 'FROM', 'OPERATION', 'WHAT', 'OUTCOME'], rows, color)}${more}`;
  });
}

function showSecret(context: Context, made: NewKeyAnswer): void {
  context.terminal.show(made, ({ access_key: key, secret }) => {
    const { color } = context.terminal;
    return `${key.id}:${secret}\n${color.dim(`${key.role} on ${key.namespaces.join(', ')}, ${stateOf(key)}. The secret is not shown again.`)}`;
  });
}

function stateOf({ revoke_time: revoked, expire_time: expires }: KeyAnswer): string {
  if (revoked) return `revoked ${timeText(revoked)}`;
  return expires ? `until ${timeText(expires)}` : 'does not expire';
}
