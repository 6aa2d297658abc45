import { dirname } from 'node:path';
import { debianProgram } from '@evenfall/testkit';
import type { HostSettings } from '../adapters/process/host-probe/examine-host.ts';
import { startHost } from './host.ts';

export const SANDBOXES = ['process', 'bubblewrap', 'gvisor'] as const;
/** The program that a sandbox needs, and its Debian package. */
const PROGRAMS: Readonly<Record<SandboxName, Parameters<typeof debianProgram> | undefined>> = {
  process: undefined,
  bubblewrap: ['bwrap', 'bubblewrap'],
  gvisor: ['runsc'],
};
export type SandboxName = (typeof SANDBOXES)[number];

/** Why a sandbox cannot be tried here; false if it can. `needs` are abilities that a test cannot do without. What a sandbox needs is fetched where it is missing. */
export async function reasonToSkip(
  sandbox: SandboxName,
  needs: readonly string[] = ['own-users', 'private-tmp'],
  settings: Pick<HostSettings, 'network' | 'subnet'> = {},
): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root can change users';
  const needed = PROGRAMS[sandbox];
  if (needed) {
    const program = debianProgram(...needed);
    if (program === undefined) return `${needed[0]} can be had nowhere`;
    process.env['PATH'] = `${process.env['PATH']}:${dirname(program)}`; // where agents of this test look for it
  }
  try {
    const host = await startHost({ ...settings, sandbox });
    const { abilities } = host.agent;
    await host.dispose();
    const lacking = needs.filter((name) => !abilities.some((each) => each.name === name && each.available));
    return lacking.length === 0 ? false : `this host has no ${lacking.join(' and no ')}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The same for several, to be called before the first suite: the runner ends a file once all suites that it knows are over, and with
 * `--test-force-exit` never learns of one that is described after an `await`.
 */
export async function reasonsToSkip<S extends string>(
  sandboxes: readonly S[],
  reasonOf: (sandbox: S) => Promise<string | false>,
): Promise<(sandbox: S) => string | false> {
  const reasons = new Map<S, string | false>();
  for (const sandbox of sandboxes) reasons.set(sandbox, await reasonOf(sandbox));
  return (sandbox) => reasons.get(sandbox) ?? false;
}
