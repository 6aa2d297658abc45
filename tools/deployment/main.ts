// npm run test:deploy: does with deploy/ what a user does, on a real Docker engine: builds the images, starts everything by compose, runs
// functions, tries to get out of a function into what is not for it, kills each container under load, stops and starts all of it, and removes it.
// With DOCKER_HOST on that engine; else as root on Debian or Ubuntu on one of its own, installed from packages, in a network of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../run.ts';
import { provideBases } from './bases.ts';
import { startEngine } from './engine.ts';
import { isDebian, print } from './programs.ts';

const STORY = join(ROOT, 'tools/deployment/story.ts');

if (process.env['DOCKER_HOST']) process.exit(spawnSync(process.execPath, [STORY], { stdio: 'inherit' }).status ?? 1);
if (process.getuid?.() !== 0 || !isDebian()) {
  process.stdout.write('skipped: without DOCKER_HOST this takes root on Debian or Ubuntu, to install and start a Docker engine\n');
  process.exit(0);
}
const dir = mkdtempSync(join(tmpdir(), 'evenfall-deploy-'));
// The story takes Ctrl-C too, and is waited for: what it started is removed before the engine is.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
let status = 1;
try {
  const engine = await startEngine(dir);
  try {
    await provideBases(engine.env);
    const [program = '', ...args] = engine.inside([process.execPath, STORY, '--kill-by-pid']);
    status = spawnSync(program, args, { stdio: 'inherit', env: engine.env }).status ?? 1;
  } finally {
    await engine.stop();
  }
} catch (error) {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
print(status === 0 ? 'everything is removed' : 'failed; everything is removed');
process.exit(status);
