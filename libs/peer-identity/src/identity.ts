/** Services that have an identity. Of agents each has its own. */
export const SERVICES = ['gateway', 'registry', 'queue', 'scheduler', 'event-store'] as const;

export type Service = (typeof SERVICES)[number];

const URI = 'spiffe://evenfall/';
const AGENT = /^agent\/[A-Za-z0-9][\w.-]{0,127}$/;

/** The identity of an agent: "agent/<id>". */
export function agentIdentity(agentId: string): string {
  return `agent/${agentId}`;
}

/** Whether a text is one: the name of a service, or `agent/` and an id. */
export function isIdentity(text: string): boolean {
  return (SERVICES as readonly string[]).includes(text) || AGENT.test(text);
}

/** As it stands in a certificate. */
export function identityUri(identity: string): string {
  return `${URI}${identity}`;
}

/**
 * The identities in the subject alternative names of a certificate, as Node writes those: `URI:spiffe://evenfall/queue, DNS:queue`. Names with
 * characters that could be taken for the end of one stand in quotation marks there, and are none.
 */
export function identitiesOf(subjectAltName: string | undefined): string[] {
  const names = (subjectAltName ?? '').split(', ');
  return names.flatMap((name) => (name.startsWith(`URI:${URI}`) ? [name.slice(4 + URI.length)] : [])).filter(isIdentity);
}
