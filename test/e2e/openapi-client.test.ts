// A client that is generated of the OpenAPI document calls every operation, and reads every answer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pythonTools, tempDir } from '@evenfall/testkit';
import { type Stack, startStack } from '../support/stack.ts';

const file = (name: string): string => fileURLToPath(new URL(`../../tools/openapi/${name}`, import.meta.url));
const tools = pythonTools(file('requirements.txt'));
const WITHIN_MS = 120_000;

describe('a client generated of the OpenAPI document', { skip: tools === undefined && 'its generator cannot be installed here' }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.dispose());

  it('reads the answers of every operation: nothing is missing, and nothing is undocumented', { timeout: WITHIN_MS }, async () => {
    const folder = tempDir('openapi-client');
    const python = async (...args: readonly string[]): Promise<string> => {
      const path = `${tools?.bin ?? ''}${delimiter}${process.env['PATH'] ?? ''}`;
      const env = {
        ...process.env,
        PATH: path,
        PYTHONPATH: folder.path,
        PYTHONDONTWRITEBYTECODE: '1',
        EVENFALL_ACCESS_KEY: stack.accessKey,
      };
      const child = spawn(tools?.python ?? '', args, { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'], timeout: WITHIN_MS, env });
      const output = { out: '', all: '' };
      child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString('utf8')));
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output.all += chunk.toString('utf8')));
      const [code] = (await once(child, 'close')) as [number | null];
      assert.equal(code, 0, output.all.slice(-5_000));
      return output.out;
    };
    try {
      const document = join(folder.path, 'openapi.json');
      writeFileSync(document, await (await fetch(`${stack.http}/openapi.json`, { headers: stack.headers })).text());
      const options = ['--meta', 'none', '--fail-on-warning', '--config', file('python-client.yaml')];
      const paths = ['--path', document, '--output-path', join(folder.path, 'evenfall_client')];
      await python('-m', 'openapi_python_client', 'generate', ...paths, ...options);
      const called = JSON.parse(await python(file('client_calls.py'), stack.http)) as string[];
      assert.ok(called.length > 30);
    } finally {
      folder.remove();
    }
    assert.doesNotMatch(stack.stderr(), / error /, 'nothing was a failure of the platform');
  });
});
