// Step `words` of npm run check: spelling, and the words that docs/glossary.md replaces. Arguments are globs to check instead of the covered paths.
import { ROOT } from './run.ts';
import { coveredFiles, wordFaults } from './words/check.ts';

const globs = process.argv.slice(2);
const files = globs.length > 0 ? coveredFiles(globs) : coveredFiles();
const faults = wordFaults(ROOT, files);
for (const fault of faults) process.stderr.write(`${fault}\n`);
if (faults.length > 0) {
  process.stderr.write(
    `\n${faults.length} words in ${files.length} files. A correct word of the field goes into tools/words/project-words.txt.\n`,
  );
}
process.exitCode = faults.length > 0 ? 1 : 0;
