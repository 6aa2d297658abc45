import { readFileSync } from 'node:fs';

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
const ESTABLISHED = '01';
const LISTEN = '0A';

/**
 * The user at the other end of a connection within the network this thread is in; undefined if there is none of that kind. A read of the
 * kernel's tables: once per connection, not more.
 */
export function uidOfPeer(peerPort: number, ownPort: number): number | undefined {
  return find((row) => row.state === ESTABLISHED && row.localPort === peerPort && row.remotePort === ownPort);
}

/** The user that listens on a port of the network this thread is in; undefined if nobody does. */
export function uidOfListener(port: number): number | undefined {
  return find((row) => row.state === LISTEN && row.localPort === port);
}

type Row = { readonly localPort: number; readonly remotePort: number; readonly state: string; readonly uid: number };

function find(matches: (row: Row) => boolean): number | undefined {
  for (const table of TABLES) {
    for (const line of textOf(table).split('\n').slice(1)) {
      const row = rowOf(line);
      if (row && matches(row)) return row.uid;
    }
  }
  return undefined;
}

/** `sl local_address rem_address st queues timer retransmits uid …`, ports in hexadecimal (proc_net_tcp). */
function rowOf(line: string): Row | undefined {
  const [, local = '', remote = '', state = '', , , , uid = ''] = line.trim().split(/\s+/);
  const port = (address: string): number => Number.parseInt(address.slice(address.lastIndexOf(':') + 1), 16);
  return uid === '' ? undefined : { localPort: port(local), remotePort: port(remote), state, uid: Number(uid) };
}

function textOf(table: string): string {
  try {
    return readFileSync(table, 'latin1');
  } catch {
    return ''; // a kernel without IPv6
  }
}
