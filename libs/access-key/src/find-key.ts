import { isLoopback } from '@evenfall/config';
import { readKeyFile } from './key-file.ts';

/** Who looks for a key, and what for. */
export type Finder = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the key will be sent. */
  readonly url: string;
  /** The data folder of the repository. */
  readonly ownDataDir: string;
};

/**
 * Finds the key of the platform at a URL, as `id:secret`: the one that is set, or the one of a data folder on this machine. That one is never sent to another
 * machine. Throws an `OperatorError` for a file that cannot be used.
 */
export async function findAccessKey({ env, url, ownDataDir }: Finder): Promise<string | undefined> {
  const set = env['EVENFALL_ACCESS_KEY'];
  if (set) return set;
  if (!isOnThisMachine(url)) return undefined;
  const dataDir = env['EVENFALL_DATA_DIR'];
  return (dataDir ? await readKeyFile(dataDir) : undefined) ?? (await readKeyFile(ownDataDir));
}

function isOnThisMachine(url: string): boolean {
  return URL.canParse(url) && isLoopback(new URL(url).hostname);
}
