import type { Role } from './roles.ts';

/** May; may not; only with payloads, which a key with the role `viewer` has or has not. */
type Cell = 'yes' | 'no' | 'payloads';

/** One kind of thing that can be done. */
export type ActionRow = {
  readonly may: Readonly<Record<Role, Cell>>;
  /** `platform`: it concerns all namespaces, so that the key has to be one of all namespaces. */
  readonly of: 'namespace' | 'platform';
  /** Whether the audit log has a record of each. */
  readonly isAudited: boolean;
};

type More = { readonly of?: 'platform'; readonly isAudited?: true };

function row(admin: Cell, operator: Cell, deployer: Cell, invoker: Cell, viewer: Cell, more: More = {}): ActionRow {
  return { may: { admin, operator, deployer, invoker, viewer }, of: more.of ?? 'namespace', isAudited: more.isAudited ?? false };
}

const AUDITED = { isAudited: true } as const;

/** Every action, and which roles have it. Every operation of every API is one of them: see `operations.ts`. */
export const ACTIONS = {
  //                           admin  operator deployer invoker viewer
  'functions.read': row('yes', 'yes', 'yes', 'yes', 'yes'),
  /** Values of environment variables; not an operation of its own. */
  'functions.read_secrets': row('yes', 'no', 'yes', 'no', 'no'),
  'functions.write': row('yes', 'no', 'yes', 'no', 'no', AUDITED),
  'concurrency.write': row('yes', 'yes', 'yes', 'no', 'no', AUDITED),
  'functions.invoke': row('yes', 'no', 'no', 'yes', 'no'),
  'events.create': row('yes', 'no', 'no', 'yes', 'no'),
  'events.read': row('yes', 'yes', 'yes', 'yes', 'yes'),
  /** Payloads, results and errors; not an operation of its own. */
  'events.read_payloads': row('yes', 'yes', 'yes', 'yes', 'payloads'),
  'events.terminate': row('yes', 'yes', 'no', 'yes', 'no', AUDITED),
  'logs.read': row('yes', 'yes', 'yes', 'yes', 'payloads'),
  'dead_letters.read': row('yes', 'yes', 'yes', 'no', 'yes'),
  'dead_letters.redrive': row('yes', 'yes', 'no', 'no', 'no', AUDITED),
  'dead_letters.purge': row('yes', 'yes', 'no', 'no', 'no', AUDITED),
  'instances.read': row('yes', 'yes', 'yes', 'no', 'yes'),
  'platform.read': row('yes', 'yes', 'no', 'no', 'yes', { of: 'platform' }),
  'platform.operate': row('yes', 'yes', 'no', 'no', 'no', { of: 'platform', isAudited: true }),
  'keys.read': row('yes', 'no', 'no', 'no', 'no'),
  'keys.manage': row('yes', 'no', 'no', 'no', 'no', AUDITED),
  'agent_tokens.read': row('yes', 'no', 'no', 'no', 'no', { of: 'platform' }),
  'agent_tokens.manage': row('yes', 'no', 'no', 'no', 'no', { of: 'platform', isAudited: true }),
  'quotas.read': row('yes', 'yes', 'yes', 'no', 'no'),
  'quotas.manage': row('yes', 'no', 'no', 'no', 'no', { of: 'platform', isAudited: true }),
  'audit.read': row('yes', 'yes', 'no', 'no', 'no'),
} as const satisfies Readonly<Record<string, ActionRow>>;

export type Action = keyof typeof ACTIONS;

export function isAction(text: string): text is Action {
  return Object.hasOwn(ACTIONS, text);
}
