import { fileURLToPath } from 'node:url';
import { findAccessKey } from '@evenfall/access-key';
import { OperatorError } from '@evenfall/errors';
import { Failure } from './failure.ts';

/** Where a platform that was started in this repository keeps its key. */
export const OWN_DATA_DIR = fileURLToPath(new URL('../../../.evenfall', import.meta.url));

type Where = { readonly env: Readonly<Record<string, string | undefined>>; readonly ownDataDir: string };

/** The access key for a platform: the one that is set, or for this machine the one in a data folder. Throws a `Failure` for a file that cannot be used. */
export async function accessKeyFor(url: string, { env, ownDataDir }: Where): Promise<string | undefined> {
  try {
    return await findAccessKey({ env, url, ownDataDir });
  } catch (error) {
    if (error instanceof OperatorError) throw new Failure(`${error.message} Or give one with EVENFALL_ACCESS_KEY or --access-key.`);
    throw error;
  }
}
