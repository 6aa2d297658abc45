import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pythonTools, tempDir } from '@evenfall/testkit';
import { openManyAddresses } from '../support/many-addresses.ts';
import { type Stack, startStack } from '../support/stack.ts';

const HOOKS = fileURLToPath(new URL('../../tools/openapi/schemathesis_hooks.py', import.meta.url));
const tools = pythonTools(fileURLToPath(new URL('../../tools/openapi/requirements.txt', import.meta.url)));
/** More than it takes by far; it is bounded by its examples. */
const WITHIN_MS = 840_000;
const OPTIONS = [
  ...['--exclude-checks', 'positive_data_acceptance,use_after_free'], // the hooks have them, but for what a schema cannot say
  ...['--max-examples', '25', '--request-timeout', '15', '--suppress-health-check', 'all'],
  ...['--generation-deterministic', '--continue-on-failure', '--no-color', '--warnings', 'off'],
];

/** There is one agent, and no way back from DRAINING: the hooks name others, which do not exist. Nor does an agent of this process join by a token. */
const NEVER_ACCEPTED = ['createAgentToken', 'drainAgent', 'revokeAgentToken'];
type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>> };

/** The operations that took a valid request: a check of what is refused says little of an operation that refuses everything. */
function accepted(report: string): ReadonlySet<string> {
  const lines = readFileSync(report, 'utf8').trim().split('\n');
  const tried = lines.map((line) => JSON.parse(line) as readonly [operation: string, isPositive: boolean, status: number]);
  return new Set(tried.filter(([, isPositive, status]) => isPositive && status >= 200 && status < 300).map(([operation]) => operation));
}

describe(
  'the OpenAPI document against the running platform',
  { skip: tools === undefined && 'schemathesis cannot be installed here' },
  () => {
    let stack: Stack;
    /** Ids that operations are tried with, each of them once. */
    let ids: Record<string, readonly string[]>;
    before(async () => {
      stack = await startStack();
      const { status } = await stack.rest.call('POST', '/v1/access-keys', { id: 'turning', role: 'VIEWER', namespaces: ['*'] });
      assert.equal(status, 201);
      // Named as the examples of the document are, and with the files that its package has in either language.
      const python = 'def main_handler(event, context):\n    return event\n';
      await stack.rest.deploy(
        { name: 'default', runtime: 'python3', handler: 'index.main_handler', timeout: '60s' },
        { 'index.py': python },
      );
      await stack.rest.deployExample('echo', { name: 'deleted' });
      await stack.rest.deployExample('throws', { name: 'fails', event_invoke: { max_retries: 0 } });
      await stack.rest.send('default', 1);
      const failed = await stack.rest.sendBatch(
        'fails',
        Array.from({ length: 6 }, () => ({ payload: 1 })),
      );
      const waiting = await stack.rest.sendBatch(
        'default',
        Array.from({ length: 6 }, () => ({ payload: 1, delay: '1h' })),
      );
      for (const id of failed) await stack.rest.reaches(id, 'FAILED', 30_000);
      ids = { terminateEvent: waiting, redriveDeadLetter: failed.slice(0, 3), purgeDeadLetter: failed.slice(3) };
    });
    after(() => stack.dispose());

    it('holds for whatever schemathesis sends', { timeout: WITHIN_MS + 10_000 }, async () => {
      const folder = tempDir('schemathesis');
      // It tries every operation with a wrong key too: beyond the first ones of an address the answers to those wait.
      const proxy = await openManyAddresses(stack.http);
      try {
        const args = [
          '-m',
          'schemathesis.cli',
          'run',
          `${proxy.url}/openapi.json`,
          ...OPTIONS,
          '--header',
          `Authorization: Bearer ${stack.accessKey}`,
          // Without a body and without a key it would be refused as what a form could send, before it is asked for its key.
          '--header',
          'Evenfall-Client: schemathesis',
        ];
        const report = join(folder.path, 'report.jsonl');
        const env = {
          ...process.env,
          PYTHONDONTWRITEBYTECODE: '1',
          SCHEMATHESIS_HOOKS: HOOKS,
          EVENFALL_OPENAPI_REPORT: report,
          EVENFALL_OPENAPI_IDS: JSON.stringify(ids),
        };
        const child = spawn(tools?.python ?? '', args, { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'], timeout: WITHIN_MS, env });
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
        const [code] = (await once(child, 'close')) as [number | null];
        assert.equal(code, 0, output.slice(-20_000));
        const { paths } = (await stack.rest.call<Document>('GET', '/openapi.json')).body;
        const operations = Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
        assert.ok(operations.length > 30);
        assert.deepEqual(operations.filter((operation) => !accepted(report).has(operation)).sort(), NEVER_ACCEPTED);
      } finally {
        proxy.close();
        folder.remove();
      }
      assert.equal((await stack.rest.call('GET', '/healthz')).status, 200);
      assert.doesNotMatch(stack.stderr(), /error gateway/, 'nothing was a failure of the platform');
    });
  },
);
