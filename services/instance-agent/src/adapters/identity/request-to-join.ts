import { createHash } from 'node:crypto';
import { request as httpsRequest } from 'node:https';
import { connect, type DetailedPeerCertificate, type PeerCertificate } from 'node:tls';
import { OperatorError } from '@evenfall/errors';
import { identitiesOf } from '@evenfall/peer-identity';

export type JoinRequest = {
  /** "host:port" of the registry's port for joining agents. */
  readonly address: string;
  /** SHA-256 of the certificate of the authority, lower-case hex. */
  readonly authoritySha256: string;
  readonly token: string;
  readonly signingRequest: string;
  /** Empty for one that is made. */
  readonly agentId: string;
};
export type Joined = { readonly agentId: string; readonly certificate: string; readonly ca: string };

const WITHIN_MS = 10_000;
const MAX_ANSWER_BYTES = 65_536;

/**
 * Requests a certificate of the registry. The token is sent only to a server that is the registry by a certificate of the authority whose digest is
 * known. Throws an `OperatorError` for what is the same the next time: another authority, a token that is refused.
 */
export async function requestToJoin(ask: JoinRequest): Promise<Joined> {
  const ca = await authorityOf(ask);
  const { status, body } = await post(ask, ca);
  const answer = parse(body);
  const { certificate, agent_id: agentId, authorities } = answer;
  if (status === 200 && typeof certificate === 'string' && typeof agentId === 'string' && typeof authorities === 'string')
    return { agentId, certificate, ca: authorities };
  const why = typeof answer['message'] === 'string' ? answer['message'] : `status ${status}`;
  if (status >= 400 && status < 500 && status !== 429) throw new OperatorError(`The registry lets this agent not join: ${why}`);
  throw new Error(why);
}

/** The certificate (PEM) of the authority, as the server shows it: accepted by its digest alone. Nothing is sent to the server. */
async function authorityOf({ address, authoritySha256 }: JoinRequest): Promise<string> {
  const { host, port } = partsOf(address);
  const shown = await new Promise<DetailedPeerCertificate>((resolve, reject) => {
    // Nothing is trusted here but the digest that is looked for below.
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: WITHIN_MS }, () => {
      resolve(socket.getPeerCertificate(true));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error(`${address} does not answer`)));
  });
  const seen = new Set<DetailedPeerCertificate>();
  for (let one = shown; one?.raw && !seen.has(one); one = one.issuerCertificate) {
    seen.add(one);
    if (createHash('sha256').update(one.raw).digest('hex') === authoritySha256) return pemOf(one.raw);
  }
  throw new OperatorError(
    `${address} shows no certificate of the authority that EVENFALL_AGENT_JOIN_CA names: it is not the registry of this platform, or the authority is another by now.`,
  );
}

function post({ address, token, signingRequest, agentId }: JoinRequest, ca: string): Promise<{ status: number; body: string }> {
  const { host, port } = partsOf(address);
  const sent = JSON.stringify({ token, signing_request: signingRequest, agent_id: agentId });
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        host,
        port,
        path: '/v1/join',
        method: 'POST',
        agent: false,
        ca,
        timeout: WITHIN_MS,
        checkServerIdentity: isRegistry,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) },
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => {
          body += part;
          if (body.length > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long'));
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      },
    );
    call.once('timeout', () => call.destroy(new Error(`${address} does not answer`)));
    call.once('error', reject);
    call.end(sent);
  });
}

/** The address proves nothing: the identity in the certificate does. */
function isRegistry(_host: string, { subjectaltname }: PeerCertificate): Error | undefined {
  const found = identitiesOf(subjectaltname);
  return found.length === 1 && found[0] === 'registry'
    ? undefined
    : new Error(`the server is ${found.join(' and ') || 'unnamed'}, not the registry`);
}

function partsOf(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}; // its values are checked where they are read
  } catch {
    return {};
  }
}
