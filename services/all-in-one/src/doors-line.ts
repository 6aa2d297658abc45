import type { KeptKey } from '@evenfall/access-key';

type Place = { readonly addresses: { readonly http: string }; readonly keptKey: KeptKey | undefined };
type Doors = { readonly accessKeys: readonly unknown[]; readonly isOpen: boolean };

/**
 * What callers need, in the line before the ready line. The key itself only for somebody who sits in front: what is no terminal may be a log that others
 * read. A browser sends the part after "#" to nobody.
 */
export function doorsLine({ accessKeys, isOpen }: Doors, { addresses, keptKey }: Place, isTerminal: boolean): string {
  if (isOpen) return 'evenfall OPEN: the doors ask for no key (EVENFALL_OPEN=yes); whatever runs on this machine may do everything';
  if (!keptKey) return `evenfall keys: ${accessKeys.length} in EVENFALL_ACCESS_KEYS`;
  const file = `evenfall key: in ${keptKey.path}${keptKey.isNew ? ', made just now' : ''}`;
  return isTerminal ? `${file}\nevenfall docs: ${addresses.http}/docs#key=${encodeURIComponent(keptKey.key)}` : file;
}
