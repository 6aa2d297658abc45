import { refuse } from '@evenfall/errors';
import { type Action, ACTIONS, type ActionRow } from './actions.ts';
import { type Role, roleText } from './roles.ts';

/** Who calls, and what for. */
export type Access = {
  /** Id of the key, or "anonymous" where the APIs are open. */
  readonly id: string;
  readonly role: Role;
  /** Namespaces the key is good for. */
  readonly namespaces: ReadonlySet<string> | 'all';
  /** For the role `viewer`: whether it sees payloads, results, errors and logs. Of every other role its own row says so. */
  readonly showsPayloads: boolean;
};

/** Id of a caller without a key, where the APIs are open; no key has it. */
export const ANONYMOUS = 'anonymous';

/** The rights of a key that was given to the program itself. */
export const ADMIN_OF_ALL: Omit<Access, 'id'> = { role: 'admin', namespaces: 'all', showsPayloads: true };

/** Whether the role has the right, wherever. */
export function hasRight({ role, showsPayloads }: Pick<Access, 'role' | 'showsPayloads'>, action: Action): boolean {
  const cell = rowOf(action).may[role];
  return cell === 'yes' || (cell === 'payloads' && showsPayloads);
}

/** Whether the key is good for a namespace. */
export function covers({ namespaces }: Pick<Access, 'namespaces'>, namespace: string): boolean {
  return namespaces === 'all' || namespaces.has(namespace);
}

/** Whether the key has access to all of them: "*" means every namespace. */
export function coversAll(key: Pick<Access, 'namespaces'>, namespaces: readonly string[]): boolean {
  return key.namespaces === 'all' || (namespaces.length > 0 && namespaces.every((one) => one !== '*' && covers(key, one)));
}

/**
 * Whether a key may do something in a namespace; without one, whether it may somewhere. What concerns the platform as a whole takes a key of all
 * namespaces.
 */
export function allows(key: Access, action: Action, namespace?: string): boolean {
  if (!hasRight(key, action)) return false;
  if (rowOf(action).of === 'platform') return key.namespaces === 'all';
  return namespace === undefined || covers(key, namespace);
}

/** Throws ROLE_FORBIDS if the key may not. */
export function checkAccess(key: Access, action: Action, namespace?: string): void {
  if (allows(key, action, namespace)) return;
  const isOfPlatform = rowOf(action).of === 'platform';
  const where = isOfPlatform ? 'for all namespaces' : namespace === undefined ? 'anywhere' : `in namespace "${namespace.slice(0, 80)}"`;
  throw refuse('ROLE_FORBIDS', {
    action,
    namespace: isOfPlatform ? '*' : (namespace ?? '').slice(0, 80),
    role: roleText(key.role, key.showsPayloads),
    where,
  });
}

function rowOf(action: Action): ActionRow {
  return ACTIONS[action];
}
