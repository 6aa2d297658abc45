// The word check fails on every retired word, wherever it is written.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { coveredFiles, wordFaults } from './words/check.ts';
import { isExempt } from './words/paths.ts';
import { phrasesIn } from './words/phrases.ts';
import { RETIRED as WORDS } from './words/retired.ts';

const RETIRED = [...WORDS.keys()];
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** Where a word can be: a text that contains it, and the file that the text is in. Each has a line of its own for each word. */
const PLACES: Readonly<Record<string, (word: string) => string>> = {
  'identifier.ts': (word) => `export const is${capital(word)}Now = 1;`,
  'property.ts': (word) => `export type Row = { readonly ${word}At: number };`,
  'comment.ts': (word) => `// The queue has ${word} an event.`,
  'test-name.ts': (word) => `it('reports what is ${word}', () => {});`,
  'message.proto': (word) => `  bool was_${word}_before = 1;`,
  'column.sql': (word) => `ALTER TABLE events.event ADD COLUMN is_${word} boolean;`,
  'comment.c': (word) => `/* The launcher is ${word} here. */`,
  'function.py': (word) => `def send_${word}(event):`,
  'script.js': (word) => `const ${word}Events = [];`,
  'settings.yaml': (word) => `# What is ${word} by the agent`,
  'page.md': (word) => `The destination is ${word} of each end.`,
  'story.txt': (word) => `  ${word}: none`,
};

function inFolder<T>(files: Readonly<Record<string, string>>, use: (root: string) => T): T {
  const root = mkdtempSync(join(tmpdir(), 'evenfall-words-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return use(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

describe('the word check', () => {
  it('finds every retired word in identifiers, comments, names of tests, protos, columns and pages', () => {
    const files = Object.fromEntries(Object.entries(PLACES).map(([file, line]) => [file, `${RETIRED.map(line).join('\n')}\n`]));
    const faults = inFolder(files, (root) => wordFaults(root, Object.keys(files)));
    const found = new Set(faults.map((fault) => /^(\S+?):(\d+)/.exec(fault)?.slice(1).join(':')));
    const missed = Object.keys(PLACES).flatMap((file) =>
      RETIRED.filter((_, index) => !found.has(`${file}:${index + 1}`)).map((word) => `${file}: ${word}`),
    );
    assert.deepEqual(missed, []);
  });

  it('finds retired expressions of several words, as text and as names', () => {
    const texts = [
      'the lock lets go of it',
      'perhaps given',
      'perhaps_given',
      'perhapsGiven',
      'the same tomorrow',
      'wholeOf',
      'it is not to be had',
      'one who asks',
    ];
    assert.deepEqual(
      texts.filter((text) => phrasesIn('page.md', text).length === 0),
      [],
    );
    const faults = inFolder({ 'page.md': `Fine.\n${texts.join('\n')}\n` }, (root) => wordFaults(root, ['page.md']));
    assert.deepEqual(
      new Set(faults.map((fault) => Number(/^page\.md:(\d+)/.exec(fault)?.[1]))),
      new Set(texts.map((_, index) => index + 2)),
    );
  });

  it('finds retired words in names of files and folders', () => {
    const faults = inFolder({ 'owed/heard-by.ts': 'export {};\n', 'src/isTold.ts': 'export {};\n' }, (root) =>
      wordFaults(root, ['owed/heard-by.ts', 'src/isTold.ts']),
    );
    assert.equal(faults.length, 3);
  });

  it('finds misspelt words', () => {
    const faults = inFolder({ 'page.md': 'The scheduller places an attempt.\n', 'code.ts': 'export const recieve = 1;\n' }, (root) =>
      wordFaults(root, ['page.md', 'code.ts']),
    );
    assert.equal(faults.length, 2);
  });

  it('passes plain text', () => {
    const text = 'The queue notifies watchers. A pending delivery is part of the event. The agent releases the lock.\n';
    assert.deepEqual(
      inFolder({ 'page.md': text }, (root) => wordFaults(root, ['page.md'])),
      [],
    );
  });

  it('fails if a file cannot be read, or if there are no files', () => {
    inFolder({ 'page.md': 'Fine.\n' }, (root) => {
      assert.throws(() => wordFaults(root, ['page.md', 'missing.md']), /1 of 2 files/);
      assert.throws(() => wordFaults(root, []), /no files/);
    });
  });

  it('covers the documents, and nothing that is generated', () => {
    const files = coveredFiles();
    const documents = ['README.md', 'docs/glossary.md', 'docs/adr/README.md', 'deploy/compose/compose.yaml'];
    const code = [
      'proto/evenfall/v1/event.proto',
      'libs/event-log/src/port.ts',
      'services/queue/src/api.ts',
      'services/registry/migrations/0001_functions.sql',
    ];
    for (const file of [...documents, ...code]) assert.ok(files.includes(file), file);
    assert.deepEqual(files.filter(isExempt), []);
    assert.ok(isExempt('libs/contracts/src/gen/evenfall/v1/event.ts'));
  });
});
