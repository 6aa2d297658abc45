import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { OperatorError } from '@evenfall/errors';

/** How a connection is secured: not at all, if the server can, or as these options say. */
export type Tls = false | 'prefer' | ConnectionOptions;

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
const FILES = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' } as const;

/**
 * Takes what a connection URL says about TLS out of it, in libpq's words: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`. As there, `require` with a
 * root certificate checks the server's certificate, and `verify-full` its name too. Without a mode there is no TLS. Throws an `OperatorError`.
 */
export function removeTls(url: URL): Tls {
  const query = url.searchParams;
  const mode = query.get('sslmode') ?? 'disable';
  const known = MODES.find((one) => one === mode);
  if (!known) throw new OperatorError(`sslmode=${mode} in EVENFALL_POSTGRES_URL: there is no such mode; write one of ${MODES.join(', ')}.`);
  query.delete('sslmode');
  const files: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const [name, option] of Object.entries(FILES)) {
    const path = query.get(name);
    query.delete(name);
    if (path !== null) files[option] = read(name, path);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const named = isIP(host) ? { host } : { host, servername: host };
  switch (known) {
    case 'disable':
      return false;
    case 'allow':
    case 'prefer':
      return 'prefer';
    case 'require':
      return files.ca ? { ...files, ...named, checkServerIdentity: () => undefined } : { ...files, ...named, rejectUnauthorized: false };
    case 'verify-ca':
      return { ...files, ...named, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ...files, ...named };
  }
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new OperatorError(`${name} in EVENFALL_POSTGRES_URL: ${path} cannot be read.`, { cause });
  }
}
