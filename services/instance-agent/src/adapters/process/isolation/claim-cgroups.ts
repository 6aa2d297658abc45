import { createHash, randomBytes } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { OperatorError } from '@evenfall/errors';
import { cgroupMounts, killGroup, quietly, tried } from './cgroup-controllers.ts';
import type { ExaminedHost } from '../host-probe/examine-host.ts';
import { claimsFolder, claimRange } from './claim-file.ts';
import { ALL_PLATFORMS } from './platform-cgroup.ts';

/** A name for cgroups of one agent alone. */
export type ClaimedCgroups = { readonly name: string; release(): Promise<void> };

/** A predecessor that was killed holds its name until the kernel has ended its holder. */
const PREDECESSOR_WITHIN_MS = 5_000;
const PREDECESSOR_PAUSE_MS = 50;
const REMOVE_ROUNDS = 50;
const REMOVE_PAUSE_MS = 10;
/** Bits of a name's digest that are an offset into a file. */
const OFFSET_BITS = 47n;

/**
 * Claims the name of this agent's cgroups for as long as it lives, and removes those of agents that were killed: their names end with the mark of the
 * same folder of claims, and no process holds them. What another container has made has another mark, and its agent is unknown here. Throws where an
 * agent with the same folder lives. Without a folder of claims, as an ordinary user, there are neither.
 */
export async function claimCgroups(launcher: string, agentId: string, temporaryRoot: string): Promise<ClaimedCgroups> {
  const plain = `${agentId}-${digestOf(temporaryRoot).slice(0, 8)}`;
  const folder = process.getuid?.() === 0 ? quietly(() => claimsFolder()) : undefined;
  if (folder === undefined) return { name: plain, release: () => Promise.resolve() };
  const mark = markOf(folder);
  const name = `${plain}-${mark}`;
  const release = await claimOwn(launcher, name);
  for (const left of leftovers(mark)) {
    if (left === name) continue;
    const letGo = await hold(launcher, left);
    if (!letGo) continue; // its agent lives, or another agent removes it
    await removeGroups(left);
    await letGo();
  }
  return { name, release };
}

/** The same beside what else was claimed of this host, which goes with it: at its release, or where it cannot be had. */
export async function claimBeside(
  examined: Pick<ExaminedHost, 'choice' | 'temporaryRoot' | 'release'>,
  agentId: string,
): Promise<ClaimedCgroups> {
  try {
    const cgroups = await claimCgroups(examined.choice.launch.launcher, agentId, examined.temporaryRoot);
    const release = async (): Promise<void> => {
      await cgroups.release();
      await examined.release();
    };
    return { name: cgroups.name, release };
  } catch (error) {
    await examined.release();
    throw error;
  }
}

async function claimOwn(launcher: string, name: string): Promise<() => Promise<void>> {
  for (let waitedMs = 0; waitedMs < PREDECESSOR_WITHIN_MS; waitedMs += PREDECESSOR_PAUSE_MS) {
    const release = await hold(launcher, name);
    if (release) return release;
    await pause(PREDECESSOR_PAUSE_MS);
  }
  throw new OperatorError(
    `Another agent of this host has the same name and folder (${name}), and each would end what the other runs: set another EVENFALL_DATA_DIR for this one`,
  );
}

/** A lock on one byte of a file that all names share, so that no file is left of a name. */
function hold(launcher: string, name: string): Promise<(() => Promise<void>) | undefined> {
  const first = Number(BigInt(`0x${digestOf(name).slice(0, 16)}`) & ((1n << OFFSET_BITS) - 1n));
  return claimRange(launcher, { kind: 'cgroups', first, count: 1 });
}

/** Names of groups that agents with this folder of claims have made. */
function leftovers(mark: string): Set<string> {
  const names = cgroupMounts().flatMap((mount) =>
    ['evenfall', ALL_PLATFORMS].flatMap((all) => quietly(() => readdirSync(join(mount, all), { withFileTypes: true })) ?? []),
  );
  return new Set(names.filter((entry) => entry.isDirectory() && entry.name.endsWith(`-${mark}`)).map((entry) => entry.name));
}

/** What functions of a killed agent still do is ended; what the platform had started, such as a database, is left alone, and so is its group. */
async function removeGroups(name: string): Promise<void> {
  const roots = cgroupMounts().map((mount) => join(mount, 'evenfall', name));
  const remove = (): boolean => roots.every((root) => childrenOf(root).every((child) => tried(() => rmdirSync(child))));
  for (const root of roots) childrenOf(root).forEach(killGroup);
  for (let round = 0; round < REMOVE_ROUNDS && !remove(); round++) await pause(REMOVE_PAUSE_MS);
  for (const root of roots) tried(() => rmdirSync(root));
  for (const mount of cgroupMounts()) {
    tried(() => rmdirSync(join(mount, ALL_PLATFORMS, name)));
    tried(() => rmdirSync(join(mount, ALL_PLATFORMS))); // fails while another agent has one in it
  }
}

function childrenOf(root: string): string[] {
  const entries = quietly(() => readdirSync(root, { withFileTypes: true })) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name));
}

/** What distinguishes this folder of claims from those of other containers; written by the first agent, completely or not at all. */
function markOf(folder: string): string {
  const path = join(folder, 'mark');
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  if (!quietly(() => readFileSync(path, 'latin1'))) {
    writeFileSync(own, randomBytes(4).toString('hex'), { mode: 0o600 });
    tried(() => linkSync(own, path)); // fails where another agent was faster
    rmSync(own, { force: true });
  }
  return readFileSync(path, 'latin1');
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
