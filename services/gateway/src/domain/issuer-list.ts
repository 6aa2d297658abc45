import { ROLE_RULE, roleRuleOf, type TokenRights } from './token-rights.ts';
import { isTrustworthy } from './token-settings.ts';

/** One issuer of the list: what of it does not hold for all. */
export type ListedIssuer = { readonly name: string; readonly issuer: string; readonly audience: string; readonly rights: TokenRights };

const MOST_ISSUERS = 16;
const MOST_RULES = 200;
const NAME = /^[a-z][a-z0-9-]{0,30}$/;
export const ISSUER = /^https?:\/\/[^\s?#]+$/;
const WORD = /^\S{1,256}$/;
const DEFAULT_CLAIM = 'groups';
const FIELDS: ReadonlySet<string> = new Set(['name', 'issuer', 'audience', 'claim', 'roles']);

/** Reads a JSON list of issuers; with every fault of it, for people. A list with a fault is no list. */
export function issuersOf(json: string): { readonly issuers: readonly ListedIssuer[]; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const issuers: ListedIssuer[] = [];
  const names = new Set<unknown>();
  const addresses = new Set<unknown>();
  for (const [n, entry] of entriesOf(json, faults).entries()) {
    const where = `issuer ${n + 1}`;
    const before = faults.length;
    for (const field of Object.keys(entry))
      if (!FIELDS.has(field)) faults.push(`${where} has a field "${field.slice(0, 40)}", which is not known`);
    const name = textOf(entry['name'], NAME, `${where}: "name" is 1 to 31 lower-case letters, digits and "-", a letter first`, faults);
    const issuer = textOf(entry['issuer'], ISSUER, `${where}: "issuer" is an https address, exactly as tokens name it`, faults);
    const audience = textOf(entry['audience'], WORD, `${where}: "audience" is a name without blanks`, faults);
    const claim = textOf(entry['claim'] ?? DEFAULT_CLAIM, WORD, `${where}: "claim" is the name of a claim`, faults);
    const rules = rulesOf(entry['roles'], where, faults);
    if (issuer !== '' && !isTrustworthy(issuer)) faults.push(`${where}: the keys of "${issuer}" would be fetched without TLS`);
    if (names.has(name) && name !== '') faults.push(`${where}: another one is named "${name}"`);
    if (addresses.has(issuer) && issuer !== '') faults.push(`${where}: "${issuer}" is there twice`);
    names.add(name);
    addresses.add(issuer);
    if (faults.length === before) issuers.push({ name, issuer, audience, rights: { claim, rules: rules.map(roleRuleOf) } });
  }
  return { issuers: faults.length === 0 ? issuers : [], faults };
}

function entriesOf(json: string, faults: string[]): Readonly<Record<string, unknown>>[] {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    faults.push('it is not JSON');
    return [];
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > MOST_ISSUERS) {
    faults.push(`it is not a list of 1 to ${MOST_ISSUERS} issuers`);
    return [];
  }
  return list.map((one: unknown, n) => {
    if (typeof one === 'object' && one !== null && !Array.isArray(one)) return one as Readonly<Record<string, unknown>>; // an object has names
    faults.push(`issuer ${n + 1} is no object`);
    return {};
  });
}

function textOf(value: unknown, pattern: RegExp, fault: string, faults: string[]): string {
  if (typeof value === 'string' && pattern.test(value)) return value;
  faults.push(fault);
  return '';
}

function rulesOf(value: unknown, where: string, faults: string[]): readonly string[] {
  const rules: readonly unknown[] = Array.isArray(value) ? value : [];
  const isGood = (rule: unknown): rule is string => typeof rule === 'string' && ROLE_RULE.test(rule);
  if (rules.length > 0 && rules.length <= MOST_RULES && rules.every(isGood)) return rules;
  faults.push(`${where}: "roles" is a list of 1 to ${MOST_RULES} rules as "value=role@namespace+namespace", with "*" for all namespaces`);
  return [];
}
