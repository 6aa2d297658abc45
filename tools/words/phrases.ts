// Retired expressions of several words, and names whose parts are ordinary words. cspell looks at one word at a time and cannot find these.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A retired expression and what is written instead. Patterns are matched against single lines, without regard to case. */
export type Phrase = { readonly pattern: RegExp; readonly instead: string };

export const PHRASES: readonly Phrase[] = [
  { pattern: /\bperhaps[ _-]?given\b|\bperhapsGiven/i, instead: 'may have been dispatched' },
  { pattern: /\b(lets?|letting)[ _-]go[ _-]of\b|\bletsGoOf/i, instead: 'releases' },
  { pattern: /\b(is|are|was|be) not to be had\b/i, instead: 'is not available' },
  { pattern: /\bthe same tomorrow\b|\bsameTomorrow/i, instead: 'permanent' },
  { pattern: /\bwith a smile\b/i, instead: 'name what happens' },
  { pattern: /\bis none any ?more\b/i, instead: 'left the group' },
  { pattern: /\bone who\b/i, instead: 'a caller, a client, an operator' },
  { pattern: /\bwhole_?of\b/i, instead: 'coverage' },
];

export type Finding = { readonly file: string; readonly line: number; readonly text: string; readonly instead: string };

/** Finds the retired expressions in a text, line by line. */
export function phrasesIn(file: string, text: string): Finding[] {
  return text.split('\n').flatMap((line, index) =>
    PHRASES.flatMap(({ pattern, instead }) => {
      const found = pattern.exec(line);
      return found ? [{ file, line: index + 1, text: found[0], instead }] : [];
    }),
  );
}

/** Finds them in files, whose names are relative to `root`. */
export function findPhrases(root: string, files: readonly string[]): Finding[] {
  return files.flatMap((file) => phrasesIn(file, readFileSync(join(root, file), 'utf8')));
}
