/** What a key is for. Roles are few and fixed: what each may do is one table, `ACTIONS`. */
export const ROLES = ['admin', 'operator', 'deployer', 'invoker', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

/** A role in words, for refusals and lists. */
export function roleText(role: Role, showsPayloads: boolean): string {
  return role === 'viewer' && !showsPayloads ? 'viewer without payloads' : role;
}
