import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { NameServerAddress } from './upstream.ts';

const FILE = '/etc/resolv.conf';
const PORT = 53;
const KEPT_MS = 1_000;

/** The contents of resolv.conf(5) of this host. */
export type HostNames = {
  readonly servers: readonly string[];
  /** Its lines on how names are looked up, such as `search`. */
  readonly manner: readonly string[];
};

export function readHostNames(file = FILE): HostNames {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // a host without the file queries its own loopback
  }
  const found = [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map(([, server]) => server ?? '');
  const servers = found.filter((server) => isIP(server.split('%')[0] ?? '') !== 0);
  return {
    servers: servers.length > 0 ? servers : ['127.0.0.1'],
    manner: text.split('\n').filter((line) => /^(search|domain|options)[ \t]/.test(line)),
  };
}

/** Those to ask, as the host has them now: it may get others at any time. */
export function hostServers(now: () => number): () => readonly NameServerAddress[] {
  let kept: readonly NameServerAddress[] = [];
  let readAt = -Infinity;
  return () => {
    if (now() - readAt > KEPT_MS) {
      readAt = now();
      kept = readHostNames().servers.map((address) => ({ address, port: PORT }));
    }
    return kept;
  };
}
