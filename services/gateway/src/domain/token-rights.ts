import { createHash } from 'node:crypto';
import { type Access, type Grant, isRole } from '@evenfall/access';
import { refuse, type Refusal } from '@evenfall/errors';

/** What one value of a claim gives. */
export type RoleRule = Grant & { readonly value: string };

/** Where rights stand in a token, and what each value gives. */
export type TokenRights = {
  /** Name of the claim: as it is, or as a path with dots. */
  readonly claim: string;
  /** All that match count: together they give what each of them gives. */
  readonly rules: readonly RoleRule[];
};

/** As `value=role@namespace+namespace`, with "*" for all namespaces, and `viewer+payloads` for a viewer that sees payloads. */
export const ROLE_RULE =
  /^[^\s,=]{1,256}=(?:admin|operator|deployer|invoker|viewer|viewer\+payloads)@(?:\*|[A-Za-z][\w-]{0,58}[A-Za-z0-9](?:\+[A-Za-z][\w-]{0,58}[A-Za-z0-9])*)$/;

/** Ids of subjects begin with this, the name of the issuer where it has one, and a colon: no access key has one with a colon, and no name of an issuer. */
const ID_PREFIX = 'oidc';
/** Characters of a subject that stand in an id as they are; of a longer one the beginning does, and a digest of all of it. */
const MOST_OF_SUBJECT = 120;
const BEGINNING = 80;
const MAX_SUBJECT = 1_024;

/** Reads a rule; it has the form of `ROLE_RULE`. */
export function roleRuleOf(text: string): RoleRule {
  const equals = text.indexOf('=');
  const at = text.indexOf('@', equals);
  const [role = '', payloads] = text.slice(equals + 1, at).split('+');
  const namespaces = text.slice(at + 1);
  if (!isRole(role)) throw new Error(`Not a role: ${role}`); // what does not match the form was refused before
  return {
    value: text.slice(0, equals),
    role,
    namespaces: namespaces === '*' ? 'all' : new Set(namespaces.split('+')),
    showsPayloads: payloads === 'payloads',
  };
}

/** What the bearer of a token may do, by its claims; or why nothing: a token that no rule is about has no right. */
export function accessOfClaims(
  claims: Readonly<Record<string, unknown>>,
  { claim, rules }: TokenRights,
  issuerName?: string,
): Access | Refusal {
  const { sub } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT || !sub.isWellFormed() || /[\u0000-\u001f\u007f]/.test(sub))
    return refuse('UNAUTHENTICATED', { detail: 'the token names no subject' });
  const id = idOf(sub, issuerName);
  const values = valuesOf(claims, claim);
  const grants: Grant[] = [];
  for (const { value, role, namespaces, showsPayloads } of rules) if (values.has(value)) grants.push({ role, namespaces, showsPayloads });
  return grants.length === 0 ? refuse('TOKEN_WITHOUT_ROLE', { subject: id, claim }) : { id, grants };
}

function idOf(subject: string, issuerName: string | undefined): string {
  const prefix = `${ID_PREFIX}${issuerName === undefined ? '' : `.${issuerName}`}:`;
  if (subject.length <= MOST_OF_SUBJECT) return prefix + subject;
  const digest = createHash('sha256').update(subject).digest('hex').slice(0, 32);
  return `${prefix}${subject.slice(0, BEGINNING).toWellFormed()}~${digest}`;
}

function valuesOf(claims: Readonly<Record<string, unknown>>, claim: string): ReadonlySet<string> {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : valueAt(claims, claim.split('.'));
  if (typeof value === 'string') return new Set(claim === 'scope' ? value.split(' ') : [value]); // RFC 8693: scopes have spaces between them
  return new Set(Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []);
}

function valueAt(claims: unknown, path: readonly string[]): unknown {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name]; // its own
  }
  return value;
}
