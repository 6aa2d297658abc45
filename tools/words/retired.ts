// The retired words as cspell.yaml lists them, for names of files and folders, which cspell does not read.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../run.ts';

const { flagWords } = parse(readFileSync(join(ROOT, 'tools/words/cspell.yaml'), 'utf8')) as { readonly flagWords: readonly string[] };

/** Retired words in lower case, with what is written instead. */
export const RETIRED: ReadonlyMap<string, string> = new Map(flagWords.map((line) => line.split('->') as [string, string]));

/** Finds retired words in the parts of a path. */
export function retiredInPath(path: string): string[] {
  const words = path
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/);
  return words
    .filter((word) => RETIRED.has(word))
    .map((word) => `${path} - Retired word in the name (${word}) use: (${RETIRED.get(word) ?? ''})`);
}
