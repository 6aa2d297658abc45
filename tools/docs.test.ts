// Commands in documents exist, and links lead to files.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from './run.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const documents = globSync('**/*.md', { cwd: ROOT, exclude: (path) => /node_modules|\.nx|\.evenfall/.test(path) }).sort();

/** The scripts that fenced `sh` blocks call: `npm start`, `npm test`, `npm run <script>`. */
function scriptsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
  return blocks.flatMap((block) =>
    [...block.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)].map((match) => match[1] ?? match[2] ?? ''),
  );
}

/** Relative links of a document, without their anchors. Links inside fenced blocks are not links. */
function linksIn(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !/^(https?:|#)/.test(link))
    .map((link) => link.replace(/#.*$/, ''));
}

describe('the documents', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> };

  it('name only npm scripts that exist', () => {
    const unknown = documents.flatMap((file) =>
      scriptsIn(read(file))
        .filter((script) => !(script in scripts))
        .map((script) => `${file}: npm run ${script}`),
    );
    assert.deepEqual(unknown, []);
  });

  it('show every script in the README or in CONTRIBUTING.md', () => {
    const shown = new Set([...scriptsIn(read('README.md')), ...scriptsIn(read('CONTRIBUTING.md'))]);
    assert.deepEqual(
      Object.keys(scripts).filter((script) => !shown.has(script)),
      [],
    );
  });

  it('point only to files that exist', () => {
    const broken = documents.flatMap((file) =>
      linksIn(read(file))
        .filter((link) => !existsSync(join(ROOT, dirname(file), link)))
        .map((link) => `${file}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });

  it('list every decision in the index, by number, title and status', () => {
    const index = read('docs/adr/README.md').replace(/ +/g, ' ');
    const missing = globSync('docs/adr/0*.md', { cwd: ROOT }).filter((file) => {
      const [, number = '', title = ''] = /^# (\d+)\. (.+)$/m.exec(read(file)) ?? [];
      const [, status = ''] = /^- Status: (.+)$/m.exec(read(file)) ?? [];
      const [, date = ''] = /^- Date: (\d{4}-\d\d-\d\d)$/m.exec(read(file)) ?? [];
      return !index.includes(`| ${number} | [${title}](${file.replace('docs/adr/', '')}) | ${date} | ${status} |`);
    });
    assert.deepEqual(missing, []);
  });

  it('exist for every service and lib', () => {
    const projects = globSync('{services,libs}/*/package.json', { cwd: ROOT }).map((file) => dirname(file));
    assert.deepEqual(
      projects.filter((project) => !existsSync(join(ROOT, project, 'README.md'))),
      [],
    );
  });
});

describe('The install scripts', () => {
  it('are all allowed or refused by name, those of other platforms too', () => {
    const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: Readonly<Record<string, boolean>> };
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Readonly<Record<string, { hasInstallScript?: boolean }>> };
    const withScript = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript);
    const names = withScript.map(([path]) => path.replace(/^.*node_modules\//, ''));
    assert.deepEqual(Object.keys(allowScripts).sort(), names.sort());
  });
});
