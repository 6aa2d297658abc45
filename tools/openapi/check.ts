// Checks the OpenAPI document as a platform serves it: lint without a warning, and clients made of it by two generators, in TypeScript and Python.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pythonTools } from '@evenfall/testkit';
import { startGateway } from '../../services/gateway/src/service.ts';
import { fakeWorld } from '../../services/gateway/src/testing/fakes.ts';
import { SETTINGS, WITH_KEY } from '../../services/gateway/src/testing/harness.ts';
import { ROOT } from '../run.ts';

const faults: string[] = [];
const dir = mkdtempSync(join(tmpdir(), 'evenfall-openapi-'));
const file = (name: string): string => join(dir, name);

function run(name: string, program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...env } });
  if (status !== 0) faults.push(`${name}:\n${stdout}${stderr}${error?.message ?? ''}`);
}

/** The document of a gateway with nothing behind it. */
async function document(): Promise<string> {
  const gateway = await startGateway(fakeWorld().ports, SETTINGS);
  try {
    return await (await fetch(`http://127.0.0.1:${gateway.httpPort}/openapi.json`, { headers: WITH_KEY })).text();
  } finally {
    await gateway.stop();
  }
}

try {
  writeFileSync(file('openapi.json'), await document());
  // Neither tool is to ask the internet anything.
  const quiet = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', NO_COLOR: '1' };
  run('redocly', 'redocly', ['lint', '--extends', 'recommended-strict', file('openapi.json')], quiet);
  run('openapi-typescript', 'openapi-typescript', [file('openapi.json'), '-o', file('api.ts')]);
  writeFileSync(file('use.ts'), readFileSync(new URL('client-use.txt', import.meta.url)));
  run('a client in TypeScript', 'tsc', [
    '--noEmit',
    '--strict',
    '--target',
    'esnext',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    file('use.ts'),
  ]);
  const tools = pythonTools(join(ROOT, 'tools/openapi/requirements.txt'));
  if (tools) {
    const path = { PATH: `${tools.bin}${delimiter}${process.env['PATH'] ?? ''}` };
    const config = ['--config', 'tools/openapi/python-client.yaml', '--meta', 'none', '--fail-on-warning'];
    const from = ['--path', file('openapi.json'), '--output-path', file('evenfall_client')];
    run('openapi-python-client', tools.python, ['-m', 'openapi_python_client', 'generate', ...from, ...config], path);
    const all =
      'import importlib, pkgutil, evenfall_client as c\nfor m in pkgutil.walk_packages(c.__path__, "evenfall_client."): importlib.import_module(m.name)';
    run('a client in Python', tools.python, ['-c', all], { PYTHONPATH: dir });
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
