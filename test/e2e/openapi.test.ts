import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pythonTools, tempDir } from '@evenfall/testkit';
import { type Stack, startStack } from '../support/stack.ts';

const tools = pythonTools(fileURLToPath(new URL('../../tools/openapi/requirements.txt', import.meta.url)));
/** More than it takes by far; it is bounded by its examples. */
const WITHIN_MS = 240_000;
const OPTIONS = [
  ...['--exclude-operation-id', 'drainAgent'], // there is no way back but a restart, and it finds the agent by itself
  ...['--exclude-operation-id', 'updateFunctionCode'], // it cannot write zip files
  // What a schema cannot say: a page token of another list, a delay longer than the function's age limit, a function without code.
  ...['--exclude-checks', 'positive_data_acceptance'],
  ...['--max-examples', '25', '--request-timeout', '15', '--suppress-health-check', 'all'],
  ...['--generation-deterministic', '--continue-on-failure', '--no-color', '--warnings', 'off'],
];

describe(
  'the OpenAPI document against the running platform',
  { skip: tools === undefined && 'schemathesis cannot be installed here' },
  () => {
    let stack: Stack;
    before(async () => {
      stack = await startStack();
      await stack.rest.deployExample('echo', { name: 'default' }); // the names that the document gives as examples
      await stack.rest.send('default', 1);
    });
    after(() => stack.dispose());

    it('holds for whatever schemathesis sends', { timeout: WITHIN_MS + 10_000 }, async () => {
      const folder = tempDir('schemathesis');
      try {
        const args = ['-m', 'schemathesis.cli', 'run', `${stack.http}/openapi.json`, ...OPTIONS];
        const child = spawn(tools?.python ?? '', args, { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'], timeout: WITHIN_MS });
        let said = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
        const [code] = (await once(child, 'close')) as [number | null];
        assert.equal(code, 0, said.slice(-20_000));
        const [, selected, all] = (/Selected: (\d+)\/(\d+)/.exec(said) ?? []).map(Number);
        assert.equal((all ?? 0) - (selected ?? 0), 2, 'all but two operations were tried');
        assert.ok((selected ?? 0) > 30, said.slice(-2_000));
      } finally {
        folder.remove();
      }
      assert.equal((await stack.rest.call('GET', '/healthz')).status, 200);
      assert.doesNotMatch(stack.stderr(), /error gateway/, 'nothing was a failure of the platform');
    });
  },
);
