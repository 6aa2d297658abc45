import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { eventually, tempDir } from '../index.ts';
import { answers } from './answers.ts';
import { testKafka } from './index.ts';

const kafka = await testKafka({ isOwn: true });
const server = kafka?.server;
const dir = tempDir('kafka-orphan');
after(async () => {
  await kafka?.stop();
  dir.remove();
});

const portOf = (brokers: string): number => Number(brokers.split(':')[1]);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a broker that is killed starts again on the same port', { skip: server === undefined }, async () => {
  assert.ok(server);
  const port = portOf(server.brokers);
  const before = server.pid;
  await server.kill9();
  assert.equal(await answers(port), false);
  assert.equal(isAlive(before), false);
  await server.restart();
  assert.equal(await answers(port), true);
  assert.notEqual(server.pid, before);
});

test('a paused broker does not answer', { skip: server === undefined }, async () => {
  assert.ok(server);
  server.pause();
  await eventually(async () => !(await answers(portOf(server.brokers))), 10_000); // its threads stop one after another
  server.resume();
  await eventually(() => answers(portOf(server.brokers)), 10_000);
});

test('a broker ends when the process that started it was killed', { skip: server === undefined }, async () => {
  const starter = `import { startKafka } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    const { pid } = await startKafka({ dir: ${JSON.stringify(dir.path)} }); console.log(String(pid)); setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', starter], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString('utf8'));
    assert.ok(isAlive(pid), `the broker ${line.toString('utf8')} is not there`);
    child.kill('SIGKILL');
    await eventually(() => !isAlive(pid), 10_000);
  } finally {
    child.kill('SIGKILL');
  }
});
