// Every rule of import-rules.mjs is broken once in a small tree of its own, and must say so; what is allowed must stay silent.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cruise, type ICruiseOptions, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';

type Rules = { readonly forbidden: (IForbiddenRuleType & { readonly name: string })[]; readonly options: ICruiseOptions };
const RULES: string = './import-rules.mjs';
const { default: rules } = (await import(RULES)) as { default: Rules }; // plain JavaScript: depcruise reads it too

/** A file that breaks one rule: where it is, and what it imports. */
type Case = { readonly rule: string; readonly file: string; readonly imports: string };

const CASES: readonly Case[] = [
  { rule: 'no-circles', file: 'libs/time/src/one.ts', imports: './two.ts' },
  { rule: 'no-circles', file: 'libs/time/src/form.ts', imports: 'type ./shape.ts' },
  { rule: 'no-unresolvable', file: 'libs/time/src/lost.ts', imports: './nowhere.ts' },
  { rule: 'services-meet-in-proto', file: 'services/queue/src/service.ts', imports: '../../registry/src/domain/names.ts' },
  { rule: 'libs-know-no-service', file: 'libs/errors/src/curious.ts', imports: '../../../services/registry/src/domain/names.ts' },
  { rule: 'libs-know-no-service', file: 'libs/errors/src/handy.ts', imports: '../../../tools/run.ts' },
  { rule: 'room-domain', file: 'services/queue/src/domain/notifies.ts', imports: '../flows/accept.ts' },
  { rule: 'room-domain', file: 'services/queue/src/domain/stores.ts', imports: '../../../../libs/postgres/src/index.ts' },
  { rule: 'domain-is-pure', file: 'services/queue/src/domain/reads.ts', imports: 'node:fs' },
  { rule: 'room-flows', file: 'services/queue/src/flows/reaches.ts', imports: '../adapters/view.ts' },
  { rule: 'room-flows', file: 'services/queue/src/flows/stores.ts', imports: '../../../../libs/postgres/src/index.ts' },
  { rule: 'room-loops', file: 'services/queue/src/loops/reaches.ts', imports: '../adapters/view.ts' },
  { rule: 'room-api', file: 'services/queue/src/api.ts', imports: './adapters/view.ts' },
  { rule: 'room-api', file: 'services/gateway/src/api/http/server.ts', imports: '../../adapters/cache.ts' },
  { rule: 'apis-know-no-other', file: 'services/gateway/src/api/rest/borrows.ts', imports: '../scf/codes.ts' },
  { rule: 'http-knows-no-api', file: 'services/gateway/src/api/http/knows.ts', imports: '../scf/codes.ts' },
  { rule: 'room-adapters', file: 'services/queue/src/adapters/notifies.ts', imports: '../flows/accept.ts' },
  { rule: 'room-config', file: 'services/queue/src/config.ts', imports: './flows/accept.ts' },
  { rule: 'testkit-in-tests', file: 'services/registry/src/service.ts', imports: '../../../libs/testkit/src/index.ts' },
  { rule: 'owner-of-grpc', file: 'services/queue/src/adapters/wire.ts', imports: '@grpc/grpc-js' },
  { rule: 'owner-of-kafkajs', file: 'services/queue/src/adapters/broker.ts', imports: 'kafkajs' },
  { rule: 'owner-of-postgres', file: 'services/registry/src/adapters/table.ts', imports: 'postgres' },
  { rule: 'owner-of-foreign-functions', file: 'services/instance-agent/src/adapters/process/calls.ts', imports: 'koffi' },
  { rule: 'owner-of-processes', file: 'services/queue/src/adapters/shell.ts', imports: 'node:child_process' },
];

/** Imports that break no rule; `type` before one makes it a type import. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'services/registry/src/domain/names.ts': ['../../../../libs/errors/src/index.ts', 'node:crypto'],
  'services/queue/src/ports.ts': [],
  'services/queue/src/domain/lanes.ts': ['../../../../libs/errors/src/index.ts'],
  'services/queue/src/flows/accept.ts': ['../ports.ts', '../domain/lanes.ts', '../../../../libs/rpc/src/index.ts'],
  'services/queue/src/loops/maintain.ts': ['../flows/accept.ts', '../../../../libs/lifecycle/src/index.ts'],
  'services/queue/src/adapters/view.ts': ['../ports.ts', '../domain/lanes.ts', '../../../../libs/postgres/src/index.ts'],
  'services/queue/src/queue.int.test.ts': ['../../../libs/testkit/src/index.ts', './adapters/view.ts', 'postgres', 'node:child_process'],
  'services/gateway/src/api/http/errors.ts': [],
  'services/gateway/src/api/rest/text.ts': ['../http/errors.ts'],
  'services/gateway/src/api/scf/codes.ts': ['../http/errors.ts'],
  'services/gateway/src/api/access.ts': ['../domain/names.ts'],
  'services/gateway/src/domain/names.ts': [],
  'services/gateway/src/adapters/cache.ts': ['../domain/names.ts'],
  'services/gateway/src/config.ts': ['./api/access.ts', '../../../libs/config/src/index.ts'],
  'services/instance-agent/src/adapters/process/driver.ts': ['node:child_process'],
  'services/instance-agent/src/adapters/network/libc.ts': ['koffi'],
  'services/all-in-one/src/service.ts': ['../../queue/src/flows/accept.ts', '../../registry/src/domain/names.ts'],
  'libs/time/src/two.ts': ['./one.ts'], // a circle is reported once
  'libs/time/src/shape.ts': ['type ./form.ts'],
  'libs/rpc/src/index.ts': ['@grpc/grpc-js'],
  'libs/postgres/src/index.ts': ['postgres'],
  'libs/config/src/index.ts': [],
  'libs/errors/src/index.ts': [],
  'libs/lifecycle/src/index.ts': [],
  'libs/testkit/src/index.ts': ['../../postgres/src/index.ts'],
  'tools/run.ts': ['node:child_process'],
};

const PACKAGES = ['@grpc/grpc-js', 'kafkajs', 'postgres', 'koffi'];

const rulesOfConfig = rules.forbidden.map(({ name }) => name);

describe('the import rules', () => {
  const root = mkdtempSync(join(tmpdir(), 'evenfall-rules-'));
  let found: readonly string[] = [];

  before(async () => {
    const write = (path: string, text: string): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    const importing = (specifiers: readonly string[]): string =>
      specifiers
        .map((from) => (from.startsWith('type ') ? `export type * from '${from.slice(5)}';\n` : `export * from '${from}';\n`))
        .join('') + 'export {};\n';
    for (const [path, specifiers] of Object.entries(ALLOWED)) write(path, importing(specifiers));
    for (const { file, imports } of CASES) write(file, importing([imports]));
    for (const name of PACKAGES) {
      write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
      write(`node_modules/${name}/index.js`, 'module.exports = {};\n');
    }
    write(
      'package.json',
      JSON.stringify({ name: 'fake', type: 'module', dependencies: Object.fromEntries(PACKAGES.map((n) => [n, '1'])) }),
    );
    // The rules and all options are the real ones; only the tree is not, and it has no tsconfig.
    const { tsConfig, ...options } = rules.options;
    assert.ok(tsConfig);
    const { output } = await cruise(['services', 'libs', 'tools'], {
      ...options,
      baseDir: root,
      validate: true,
      ruleSet: { forbidden: rules.forbidden },
    });
    found = (output as ICruiseResult).summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`);
  });

  after(() => rmSync(root, { recursive: true, force: true }));

  it('has a case for every rule', () => {
    const covered = new Set(CASES.map(({ rule }) => rule));
    assert.deepEqual(
      rulesOfConfig.filter((name) => !covered.has(name)),
      [],
    );
  });

  for (const { rule, file } of CASES) {
    it(`${rule} finds ${file}`, () => assert.ok(found.includes(`${rule}: ${file}`), found.join('\n')));
  }

  it('finds nothing else', () => {
    const expected = new Set(CASES.map(({ rule, file }) => `${rule}: ${file}`));
    assert.deepEqual(
      found.filter((one) => !expected.has(one)),
      [],
    );
  });
});
