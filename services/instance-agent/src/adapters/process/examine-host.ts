import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Ability } from '../../domain/ability.ts';
import { uidRangeOf } from '../../domain/uid-pool.ts';
import { chooseLaunch, type LaunchChoice, type SandboxWish } from './choose-launch.ts';
import { claimUids } from './claim-uids.ts';
import { hostAbilities } from './host-abilities.ts';
import type { Interpreters } from './interpreters.ts';

export type HostSettings = {
  readonly sandbox?: SandboxWish['sandbox'] | undefined;
  readonly network?: SandboxWish['network'] | undefined;
  readonly uids?: string | undefined;
  readonly searchPath?: string | undefined;
};

export type ExaminedHost = {
  readonly temporaryRoot: string;
  readonly interpreters: Interpreters;
  readonly abilities: readonly Ability[];
  readonly choice: LaunchChoice;
  readonly uids: SandboxWish['uids'] | undefined;
  /** Gives the user ids back. */
  release(): void;
};

const DEFAULT_UIDS = '900000-909999';
const DEFAULT_SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Makes the agent's folders and finds out by trying what this host can do; takes about five short processes. `dataDir` exists and is without links. */
export async function examineHost(dataDir: string, interpreters: Interpreters, settings: HostSettings): Promise<ExaminedHost> {
  const [temporaryRoot, codeRoot] = [join(dataDir, 'tmp'), join(dataDir, 'code')];
  for (const folder of [temporaryRoot, codeRoot]) mkdirSync(folder, { recursive: true });
  const range = uidRangeOf(settings.uids ?? DEFAULT_UIDS);
  const claimed = process.getuid?.() === 0 ? await claimUids(range) : undefined;
  const wish = { sandbox: settings.sandbox ?? 'auto', network: settings.network ?? 'host', uids: claimed } as const;
  const host = { dataDir, temporaryRoot, codeRoot, searchPath: settings.searchPath ?? DEFAULT_SEARCH_PATH, interpreters };
  try {
    const choice = chooseLaunch(wish, host);
    return {
      temporaryRoot,
      interpreters,
      abilities: hostAbilities(dataDir, interpreters),
      choice,
      uids: claimed,
      release: () => claimed?.release(),
    };
  } catch (error) {
    claimed?.release();
    throw error;
  }
}
