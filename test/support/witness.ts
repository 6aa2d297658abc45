import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A function that says in a file when each of its runs began and when it ended, and for which event: what really ran, whatever the platform
 * says of it. Lines are `begin|end <event id> <milliseconds>`; an append of one line is not torn.
 */
export const WITNESS = `
const { appendFileSync } = require('node:fs');
const say = (word, context) => appendFileSync(process.env.WITNESS_FILE, word + ' ' + context.request_id + ' ' + Date.now() + '\\n');
exports.handler = async (event, context) => {
  say('begin', context);
  await new Promise((resolve) => setTimeout(resolve, event.ms ?? 5));
  say('end', context);
  return event.n;
};
`;

export type Run = { readonly beginMs: number; readonly endMs: number | undefined };

/** The settings of a function that is watched this way. */
export function witnessSpec(
  dir: string,
  more: object = {},
): { name: string; runtime: string; handler: string; timeout: string; environment: object } {
  const environment = { WITNESS_FILE: join(dir, 'witness.log') };
  return { name: 'witness', runtime: 'nodejs', handler: 'index.handler', timeout: '30s', environment, ...more };
}

/** Runs of every event, in the order they began. One that was killed has no end. */
export function runsOf(dir: string): Map<string, Run[]> {
  const file = join(dir, 'witness.log');
  const runs = new Map<string, { beginMs: number; endMs: number | undefined }[]>();
  if (!existsSync(file)) return runs;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [word, id = '', time] = line.split(' ');
    if (word !== 'begin' && word !== 'end') continue;
    let of = runs.get(id);
    if (!of) runs.set(id, (of = []));
    const last = of[of.length - 1];
    if (word === 'begin') of.push({ beginMs: Number(time), endMs: undefined });
    else if (last) last.endMs = Number(time);
  }
  return runs;
}

/**
 * Makes the folder and the file, so that functions of another user can write to it: as root not in a temporary folder, of which every instance has
 * one of its own. What runs it has to see the host's files (`SEES_FILES`).
 */
export function witnessDir(): { readonly path: string; remove(): void } {
  const base = process.getuid?.() === 0 ? '/var/lib' : tmpdir();
  const path = mkdtempSync(join(base, 'evenfall-witness-'));
  chmodSync(path, 0o711);
  const file = join(path, 'witness.log');
  writeFileSync(file, '');
  chmodSync(file, 0o666); // whatever the umask
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Settings of a platform whose functions write to the witness: bubblewrap would give an ordinary user's a root that is read only. */
export const SEES_FILES = { EVENFALL_AGENT_SANDBOX: 'process' } as const;
