import { globSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { ROOT } from '../run.ts';
import type { Task } from './queue.ts';

/** What each kind of file is, where its files are, and how many lanes one of them takes if the table says nothing else. */
const KINDS = {
  int: { patterns: ['libs/*/src/**/*.int.test.ts', 'services/*/src/**/*.int.test.ts', 'tools/cli/src/**/*.int.test.ts'], lanes: 1 },
  e2e: { patterns: ['test/e2e/*.test.ts'], lanes: 1 },
  chaos: { patterns: ['test/chaos/*.test.ts'], lanes: 1 },
  fuzz: { patterns: ['test/fuzz/*.test.ts'], lanes: 2 },
} as const;
export type Kind = keyof typeof KINDS;
export const ALL_KINDS = Object.keys(KINDS) as Kind[];

/** How long files took, in seconds, and how many lanes those take that do not take the number of their kind. Written by `--record`. */
export const TABLE = `${ROOT}test/durations.json`;
export type Table = Readonly<Record<string, { readonly seconds: number; readonly lanes?: number }>>;
/** A file that is not in the table yet is taken for one of middling length. */
const UNKNOWN_SECONDS = 15;

/** How many files run at a time: much of their time is waiting, for leases that run out, pauses before retries, processes that start. */
export const LANES = Number(process.env['EVENFALL_TEST_LANES'] || Math.max(2, cpus().length * 2));

export const readTable = (): Table => JSON.parse(readFileSync(TABLE, 'utf8')) as Table; // written by this repository

export const isKind = (word: string): word is Kind => word in KINDS;

/** Every test file of these kinds. */
export function plan(kinds: readonly Kind[], table: Table): readonly Task[] {
  return kinds.flatMap((kind) => {
    const files = globSync([...KINDS[kind].patterns], { cwd: ROOT }).sort();
    return files.map((file) => ({
      file,
      seconds: table[file]?.seconds ?? UNKNOWN_SECONDS,
      lanes: table[file]?.lanes ?? KINDS[kind].lanes,
    }));
  });
}
