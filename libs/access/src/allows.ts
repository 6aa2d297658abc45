import { refuse } from '@evenfall/errors';
import { type Action, ACTIONS, type ActionRow } from './actions.ts';
import { type Role, roleText } from './roles.ts';

/** A role in some namespaces, or in all. */
export type Grant = {
  readonly role: Role;
  readonly namespaces: ReadonlySet<string> | 'all';
  /** For the role `viewer`: whether it sees payloads, results, errors and logs. Of every other role its own row says so. */
  readonly showsPayloads: boolean;
};

/** Who calls, and what for. In each namespace a caller may do what any of its grants for that namespace allows: a key has one grant, a token may have several. */
export type Access = {
  /** Id of the key or of the subject of the token, or "anonymous" where the APIs are open. */
  readonly id: string;
  readonly grants: readonly Grant[];
};

/** Id of a caller without a key, where the APIs are open; no key has it. */
export const ANONYMOUS = 'anonymous';

/** The rights of a key that was given to the program itself. */
export const ADMIN_OF_ALL: Omit<Access, 'id'> = { grants: [{ role: 'admin', namespaces: 'all', showsPayloads: true }] };

/** Whether the role of a grant has the right, wherever the grant holds. */
export function hasRight({ role, showsPayloads }: Pick<Grant, 'role' | 'showsPayloads'>, action: Action): boolean {
  const cell = rowOf(action).may[role];
  return cell === 'yes' || (cell === 'payloads' && showsPayloads);
}

/** Namespaces in which a caller has a right. */
export function namespacesWith({ grants }: Pick<Access, 'grants'>, action: Action): ReadonlySet<string> | 'all' {
  const found = new Set<string>();
  for (const grant of grants) {
    if (!hasRight(grant, action)) continue;
    if (grant.namespaces === 'all') return 'all';
    for (const namespace of grant.namespaces) found.add(namespace);
  }
  return found;
}

/** Whether a caller has a right in each of some namespaces; "*" means every namespace. False for an empty list. */
export function allowsInEach(caller: Pick<Access, 'grants'>, action: Action, namespaces: readonly string[]): boolean {
  const allowed = namespacesWith(caller, action);
  return allowed === 'all' || (namespaces.length > 0 && namespaces.every((one) => one !== '*' && allowed.has(one)));
}

/**
 * Whether a caller may do something in a namespace; without one, whether it may somewhere. What concerns the platform as a whole takes a grant of all
 * namespaces.
 */
export function allows({ grants }: Pick<Access, 'grants'>, action: Action, namespace?: string): boolean {
  const isOfPlatform = rowOf(action).of === 'platform';
  return grants.some((grant) => {
    if (!hasRight(grant, action)) return false;
    if (isOfPlatform || grant.namespaces === 'all') return grant.namespaces === 'all';
    return namespace === undefined || grant.namespaces.has(namespace);
  });
}

/** Throws ROLE_FORBIDS if the caller may not. */
export function checkAccess(caller: Access, action: Action, namespace?: string): void {
  if (allows(caller, action, namespace)) return;
  const isOfPlatform = rowOf(action).of === 'platform';
  const where = isOfPlatform ? 'for all namespaces' : namespace === undefined ? 'anywhere' : `in namespace "${namespace.slice(0, 80)}"`;
  throw refuse('ROLE_FORBIDS', {
    action,
    namespace: isOfPlatform ? '*' : (namespace ?? '').slice(0, 80),
    role: rolesText(caller),
    where,
  });
}

/** The roles of a caller, for people. */
export function rolesText({ grants }: Pick<Access, 'grants'>): string {
  return [...new Set(grants.map(({ role, showsPayloads }) => roleText(role, showsPayloads)))].join(', ');
}

function rowOf(action: Action): ActionRow {
  return ACTIONS[action];
}
