import { refuse, type Refusal } from '@evenfall/errors';
import { type Authority, hostCheck, isSameAuthority, readAuthority } from './hosts.ts';

/** What a request says before its body. */
export type RequestHead = {
  readonly method: string;
  /** As it is written on the request line: a path, or a URL (absolute-form, RFC 9112 §3.2.2). */
  readonly target: string;
  /** Names and values in turn, as they are on the wire. Over HTTP/2 `host` is the `:authority`. */
  readonly rawHeaders: readonly string[];
  /** Whether the answer is a page without data, the same for all callers: links of other sites may lead to it. */
  readonly isPage?: boolean;
  /** Whether the route itself lets in only what a form cannot send, or what is signed. */
  readonly provesItself?: boolean;
};

/** Answers why a request is turned away, or undefined. */
export type Guard = (head: RequestHead) => Refusal | undefined;

/** The one method of a form that writes. Without asking first browsers send GET, HEAD and POST (Fetch §2.2.1, CORS-safelisted methods). */
const FORM_METHOD = 'POST';
/** A list of what is let in: browsers send several types beside those of forms without asking first, such as `text/ping` and those of reports. */
const TYPES_BEYOND_FORMS = new Set(['application/json', 'application/zip', 'application/x-ndjson', 'application/grpc']);
/** Not `Basic`, `Digest` or `Negotiate`: a browser adds those by itself. */
const CREDENTIALS = /^(bearer|tc3-hmac-sha256) +\S/i;
const OWN_HEADER = 'evenfall-';
const OWN_SITE = new Set(['same-origin', 'none']);

type Seen = {
  readonly hosts: string[];
  readonly origins: string[];
  readonly sites: string[];
  fetchMode?: string;
  fetchDest?: string;
  isForwardedTls: boolean;
  isMarked: boolean;
};

/**
 * Creates the check before every route of every API. It refuses what a page of another site can make a browser send: requests
 * for a host that is not ours (DNS rebinding), requests with a foreign origin whatever their method, and writing requests that look like a form.
 */
export function createGuard(allowedHosts: readonly string[]): Guard {
  const isOurs = hostCheck(allowedHosts);
  return (head) => {
    const seen = read(head.rawHeaders);
    const [host = ''] = seen.hosts;
    if (seen.hosts.length > 1) return refuse('INVALID_FIELD', { field: 'Host', rule: 'a header that comes once' });
    const authority = readAuthority(host);
    if (!authority || !isOurs(authority)) return refuse('HOST_NOT_ALLOWED', { host: shown(host) });
    if (!isAimedAt(head.target, authority)) return refuse('HOST_NOT_ALLOWED', { host: shown(head.target) });
    const isOwn = seen.origins.length === 1 && isOwnOrigin(seen.origins[0] ?? '', authority, seen);
    if (seen.origins.length > 0 && !isOwn) return refuse('FOREIGN_ORIGIN', { header: 'Origin', value: shown(seen.origins.join(', ')) });
    if (!seen.sites.every((site) => OWN_SITE.has(site)) && !isLink(head, seen))
      return refuse('FOREIGN_ORIGIN', { header: 'Sec-Fetch-Site', value: shown(seen.sites.join(', ')) });
    const isLikeForm = head.method === FORM_METHOD && !seen.isMarked && !isOwn;
    return isLikeForm && !head.provesItself ? refuse('FORM_REQUEST') : undefined;
  };
}

/** Every header is looked at once: on the path of every accept. */
function read(rawHeaders: readonly string[]): Seen {
  const seen: Seen = { hosts: [], origins: [], sites: [], isForwardedTls: false, isMarked: false };
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    const value = rawHeaders[i + 1] ?? '';
    switch (name) {
      case 'host':
        seen.hosts.push(value);
        break;
      case 'origin':
        seen.origins.push(value);
        break;
      case 'sec-fetch-site':
        seen.sites.push(value);
        break;
      case 'sec-fetch-mode':
        seen.fetchMode = value;
        break;
      case 'sec-fetch-dest':
        seen.fetchDest = value;
        break;
      case 'x-forwarded-proto':
        seen.isForwardedTls = /^https\b/i.test(value);
        break;
      case 'content-type':
        seen.isMarked ||= TYPES_BEYOND_FORMS.has((value.split(';', 1)[0] ?? '').trim().toLowerCase());
        break;
      case 'authorization':
        seen.isMarked ||= CREDENTIALS.test(value);
        break;
      default:
        seen.isMarked ||= name.startsWith(OWN_HEADER);
    }
  }
  return seen;
}

/** A target that is a URL names its host a second time: it is to be the same. Node gives both to the routes as they are. */
function isAimedAt(target: string, host: Authority): boolean {
  if (target.startsWith('/') || target === '*') return true;
  const [, scheme = '', text = ''] = /^(https?):\/\/([^/?#]*)/i.exec(target) ?? [];
  const named = readAuthority(text);
  return named !== undefined && isSameAuthority(named, host, scheme.toLowerCase());
}

/**
 * Whether an origin is that of the request itself. The scheme is that of the connection, or what a proxy with TLS says: no page can add
 * `X-Forwarded-Proto` to a request to another origin.
 */
function isOwnOrigin(origin: string, host: Authority, { isForwardedTls }: Seen): boolean {
  const [, scheme = '', text = ''] = /^(https?):\/\/([^/?#]*)$/.exec(origin) ?? [];
  if (scheme !== (isForwardedTls ? 'https' : 'http')) return false;
  const named = readAuthority(text);
  return named !== undefined && isSameAuthority(named, host, scheme);
}

/** Whether a user followed a link to a page: not a frame, an image, a form or a script. */
function isLink({ method, isPage }: RequestHead, { origins, fetchMode, fetchDest }: Seen): boolean {
  const isReading = method === 'GET' || method === 'HEAD';
  return isPage === true && isReading && origins.length === 0 && fetchMode === 'navigate' && fetchDest === 'document';
}

function shown(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}
