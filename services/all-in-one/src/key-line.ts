import type { KeptKey } from '@evenfall/access-key';

type Place = { readonly addresses: { readonly http: string }; readonly keptKey: KeptKey | undefined };
type Admission = { readonly accessKeys: readonly unknown[]; readonly isOpen: boolean };

/**
 * The lines before the ready line: where a caller finds its key. The key itself is printed only on a terminal: anything else may be a log that other
 * people read. A browser does not send the part after "#" to any server.
 */
export function keyLine({ accessKeys, isOpen }: Admission, { addresses, keptKey }: Place, isTerminal: boolean): string {
  if (isOpen) return 'evenfall OPEN: the APIs ask for no key (EVENFALL_OPEN=yes); whatever runs on this machine may do everything';
  if (!keptKey) return `evenfall keys: ${accessKeys.length} in EVENFALL_ACCESS_KEYS`;
  const file = `evenfall key: in ${keptKey.path}${keptKey.isNew ? ', made just now' : ''}`;
  return isTerminal ? `${file}\nevenfall docs: ${addresses.http}/docs#key=${encodeURIComponent(keptKey.key)}` : file;
}
