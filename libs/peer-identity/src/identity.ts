/** Services that have an identity. Of agents each has its own. */
export const SERVICES = ['gateway', 'registry', 'queue', 'scheduler', 'event-store'] as const;

export type Service = (typeof SERVICES)[number];

const URI = 'spiffe://evenfall/';
const AGENT = /^agent\/[A-Za-z0-9][\w.-]{0,127}$/;

/** The identity of an agent: "agent/<id>". */
export function agentIdentity(agentId: string): string {
  return `agent/${agentId}`;
}

/** The id of the agent that has an identity; undefined for that of a service, or none. */
export function agentIdOf(identity: string | undefined): string | undefined {
  return identity !== undefined && AGENT.test(identity) ? identity.slice('agent/'.length) : undefined;
}

/** Whether a text is one: the name of a service, or `agent/` and an id. */
export function isIdentity(text: string): boolean {
  return (SERVICES as readonly string[]).includes(text) || AGENT.test(text);
}

/** As in a certificate. */
export function identityUri(identity: string): string {
  return `${URI}${identity}`;
}

/**
 * The identities in the subject alternative names of a certificate, as Node writes those: `URI:spiffe://evenfall/queue, DNS:queue`. Names with
 * characters that look like the end of a name are quoted there, and do not end it.
 */
export function identitiesOf(subjectAltName: string | undefined): string[] {
  const names = (subjectAltName ?? '').split(', ');
  return names.flatMap((name) => (name.startsWith(`URI:${URI}`) ? [name.slice(4 + URI.length)] : [])).filter(isIdentity);
}

const CAPACITY_URI = 'urn:evenfall:capacity-mb:';

/** Says in a certificate of an agent how many megabytes it counts for at most. */
export function capacityUri(capacityMb: number): string {
  return `${CAPACITY_URI}${capacityMb}`;
}

/** The least that a certificate says so; undefined if it says nothing. */
export function capacityOf(subjectAltName: string | undefined): number | undefined {
  const names = (subjectAltName ?? '').split(', ');
  const capacities = names.flatMap((name) => (name.startsWith(`URI:${CAPACITY_URI}`) ? [Number(name.slice(4 + CAPACITY_URI.length))] : []));
  // What cannot be read bounds all the same.
  return capacities.length === 0 ? undefined : Math.min(...capacities.map((one) => (Number.isInteger(one) && one >= 0 ? one : 0)));
}
