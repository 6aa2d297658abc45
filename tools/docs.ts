// npm run docs: writes the reference pages that are generated from code. With --check it writes nothing and fails if one is outdated, or if a
// dependency has no line in docs/dependencies.md.
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HTTP_STATUS_OF, REASONS, type ReasonRow } from '@evenfall/errors';
import { kafkaSettings } from '@evenfall/event-log/kafka/settings';
import { allInOneSettings } from '../services/all-in-one/src/config.ts';
import { eventStoreSettings } from '../services/event-store/src/config.ts';
import { GATEWAY_SETTINGS } from '../services/gateway/src/config.ts';
import { agentSettings } from '../services/instance-agent/src/config.ts';
import { queueSettings } from '../services/queue/src/config.ts';
import { schedulerSettings } from '../services/scheduler/src/config.ts';
import { ROOT } from './run.ts';
import { PROCESS_SETTINGS, type Specs } from './service-settings.ts';

const SETTINGS: readonly (readonly [string, Specs])[] = [
  ['all-in-one', allInOneSettings],
  ['gateway', GATEWAY_SETTINGS],
  ['queue', queueSettings],
  ['scheduler', schedulerSettings],
  ['instance-agent', agentSettings],
  ['event-store', eventStoreSettings],
  ['event log in Kafka', kafkaSettings],
];

const NOTICE = '<!-- Written by tools/docs.ts from the code. Change the code, then run: npm run docs -->';

/** Makes a table whose columns are as wide as their widest cell, as prettier does. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(all[0] ?? []), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...all.slice(1).map(line)].join('\n');
}

function settingsTable(specs: Specs): string {
  const rows = Object.values(specs).map(({ name, doc, form, fallback, secret }) => [
    `\`${name}\``,
    fallback === undefined ? '–' : `\`${fallback}\``,
    form,
    secret ? `${doc} Never shown in messages.` : doc,
  ]);
  return table(['variable', 'default', 'form', 'meaning'], rows);
}

/** Which process reads which variable, with its default in that process. */
function processTable(): string {
  const names = new Map<string, Map<string, string>>();
  for (const [service, specs] of Object.entries<Specs>(PROCESS_SETTINGS)) {
    for (const { name, fallback } of Object.values(specs)) {
      const readers = names.get(name) ?? new Map<string, string>();
      names.set(name, readers.set(service, fallback ?? '–'));
    }
  }
  const services = Object.keys(PROCESS_SETTINGS);
  const rows = [...names]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, readers]) => [
      `\`${name}\``,
      ...services.map((service) => (readers.has(service) ? `\`${readers.get(service) ?? ''}\`` : '')),
    ]);
  return table(['variable', ...services], rows).replaceAll('`–`', '–  ');
}

function settingsPage(): string {
  const sections = SETTINGS.map(([service, specs]) => `## ${service}\n\n${settingsTable(specs)}\n`);
  const known = new Set(SETTINGS.flatMap(([, specs]) => Object.values(specs).map(({ name }) => name)));
  const own = Object.values<Specs>(PROCESS_SETTINGS).flatMap((specs) => Object.values(specs));
  const more = new Map(own.filter(({ name }) => !known.has(name)).map((spec) => [spec.name, spec]));
  return `# Settings

${NOTICE}

All settings are environment variables. They are read once, at the start, and checked: a malformed value stops the program with a list of all faults.
An empty variable counts as unset; "–" as a default means that the setting is optional.

The all-in-one program (\`npm start\`) reads all settings except those of the last section; the headings name the service that a setting is for.

${sections.join('\n')}
## Processes of their own

A service as a process of its own (\`node services/<name>/src/main.ts\`) reads its own settings, and those with the addresses of the others:

${settingsTable(Object.fromEntries(more))}

The variables of each process, with their defaults there. A variable has the same meaning for all of them. A service that stores data in Postgres does not
start without \`EVENFALL_POSTGRES_URL\`, and one that listens beyond loopback does not start without a key.

${processTable()}
`;
}

function errorsPage(): string {
  const rows = Object.entries<ReasonRow>(REASONS).map(([reason, row]) => [
    `\`${reason}\``,
    row.code,
    String(row.httpStatus ?? HTTP_STATUS_OF[row.code]),
    row.retry ? 'yes' : 'no',
    row.sentence,
  ]);
  return `# Errors

${NOTICE}

Every refusal has a reason, which is the same in every API: REST answers with the HTTP status and
\`{"error": {"code", "status", "message", "details": [{"reason", "domain": "evenfall", "metadata"}]}}\`, gRPC with the code and a
\`google.rpc.ErrorInfo\` of the same reason. Reasons are added and never renamed; sentences may change. Words in braces come from the metadata.

The column "retry" shows whether the same request can succeed later. The failure of a _function_ is not an error of the platform: see
[status codes](status-codes.md).

${table(['reason', 'gRPC code', 'HTTP', 'retry', 'sentence'], rows)}
`;
}

/** Dependencies without a line, and lines without a dependency. The workspace's own packages need none. */
function dependencyFaults(): string[] {
  const used = new Set<string>();
  for (const file of ['package.json', ...globSync('{services,libs,tools}/*/package.json', { cwd: ROOT })]) {
    const manifest = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as Record<string, Readonly<Record<string, string>> | undefined>;
    for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies']) {
      for (const name of Object.keys(manifest[kind] ?? {})) if (!name.startsWith('@evenfall/')) used.add(name);
    }
  }
  const page = readFileSync(join(ROOT, 'docs/dependencies.md'), 'utf8');
  const listed = new Set([...page.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1] ?? ''));
  return [
    ...[...used].filter((name) => !listed.has(name)).map((name) => `docs/dependencies.md has no line for ${name}`),
    ...[...listed].filter((name) => !used.has(name)).map((name) => `docs/dependencies.md lists ${name}, which is not a dependency`),
  ];
}

const PAGES: Readonly<Record<string, string>> = {
  'docs/reference/settings.md': settingsPage(),
  'docs/reference/errors.md': errorsPage(),
};

if (process.argv.includes('--check')) {
  const kept = (file: string): string => {
    try {
      return readFileSync(join(ROOT, file), 'utf8');
    } catch {
      return ''; // never written
    }
  };
  const faults = Object.entries(PAGES)
    .filter(([file, text]) => kept(file) !== text)
    .map(([file]) => `${file} does not match the code; run npm run docs`);
  faults.push(...dependencyFaults());
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  process.exitCode = faults.length > 0 ? 1 : 0;
} else {
  for (const [file, text] of Object.entries(PAGES)) {
    mkdirSync(dirname(join(ROOT, file)), { recursive: true });
    writeFileSync(join(ROOT, file), text);
  }
}
