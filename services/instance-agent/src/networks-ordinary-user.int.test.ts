// Who reaches whom where the agent is an ordinary user: networks are of a user namespace, and have nothing in them but their loopback.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '@evenfall/testkit';
import { type Host, startHost } from './testing/host.ts';
import { listenOn, probesOf } from './testing/network-probe.ts';

/** The unprivileged user that every Linux has. */
const UNPRIVILEGED_ID = 65_534;
const WITHIN_MS = 30_000;
const isRoot = process.getuid?.() === 0;
const hostAddress = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

if (isRoot) {
  it('Networks of an ordinary user: the tests below, by such a user', (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'evenfall-unprivileged-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    chownSync(dir, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, '--clear-groups', '--'];
    const args = [...ids, process.execPath, '--test-force-exit', fileURLToPath(import.meta.url)];
    const { status, stdout, stderr } = spawnSync('setpriv', args, {
      encoding: 'utf8',
      cwd: dir,
      env: { PATH: process.env['PATH'], HOME: dir, TMPDIR: dir },
      timeout: 240_000,
    });
    if (/EACCES|Cannot find module/.test(stderr)) return context.skip('another user cannot get to this repository');
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /pass [1-9]/);
  });
} else
  for (const sandbox of ['process', 'bubblewrap'] as const)
    for (const network of ['auto', 'none', 'host'] as const)
      describe(`Functions of an ordinary user with network ${network} in sandbox ${sandbox}`, () => {
        let host: Host | undefined;
        let fault = '';
        before(async () => {
          host = await startHost({ network, sandbox }).catch((error: unknown) => {
            fault = String(error);
            return undefined;
          });
        });
        after(() => host?.dispose());
        const opened = (context: { skip(why: string): void }): { host: Host; probes: ReturnType<typeof probesOf> } | undefined => {
          const own = host?.agent.abilities.find(({ name }) => name === 'own-network');
          if (host && (network === 'host' || own?.detail.startsWith('every instance has a network of its own')))
            return { host, probes: probesOf(host) };
          context.skip(`not here: ${host ? own?.detail : fault}`);
          return undefined;
        };

        it('report what they have', (context) => {
          const here = opened(context);
          const of = (name: string) => here?.host.agent.abilities.find((each) => each.name === name)?.available;
          if (here) assert.deepEqual([of('own-network'), of('way-out')], network === 'host' ? [false, true] : [true, false]);
        });

        it('run in every runtime, are stopped, and signalled before that', async (context) => {
          const here = opened(context);
          if (!here) return;
          const { host, probes } = here;
          const instances = await Promise.all([probes.web(), probes.web(), probes.custom()]);
          const [one, two] = await Promise.all(instances.slice(0, 2).map((each) => probes.ask(each)));
          assert.equal(one?.port === two?.port, network !== 'host');
          assert.equal((await host.ended(host.run(instances[2], { n: 1 }))).result.toString(), '{"n":1}');
          for (const [runtime, file, code] of [
            ['python3', 'index.py', 'def handler(event, context):\n    return event'],
            ['nodejs', 'index.js', 'exports.handler = (event) => event'],
          ] as const) {
            const instance = await host.start({ runtime, handler: 'index.handler' }, { [file]: code });
            assert.equal((await host.ended(host.run(instance, { n: 2 }))).result.toString(), '{"n":2}');
            await probes.leave(instance);
          }
          await Promise.all(instances.map(probes.leave));
        });

        it('reach neither the host nor each other', async (context) => {
          const here = opened(context);
          if (!here) return;
          const { probes } = here;
          const [near, far] = [await listenOn('127.0.0.1'), await listenOn(hostAddress ?? '127.0.0.1')];
          const held = createServer().listen('\0evenfall-test-of-an-ordinary-host');
          const other = await probes.web();
          const { port } = await probes.ask(other, { hold: 'evenfall-test-of-an-ordinary-other' });
          const instance = await probes.web({ port: 9500 });
          const seen = await probes.ask(instance, {
            dial: [near.place, far.place, ['127.0.0.1', Number(port)]],
            abstract: ['evenfall-test-of-an-ordinary-host', 'evenfall-test-of-an-ordinary-other'],
          });
          const isShared = network === 'host';
          assert.deepEqual(seen.dialled, isShared ? Array(3).fill('connected') : ['ECONNREFUSED', 'ENETUNREACH', 'ECONNREFUSED']);
          assert.deepEqual(seen.abstract, Array(2).fill(isShared ? 'connected' : 'ECONNREFUSED'));
          for (const each of [near, far, held]) each.close();
          await Promise.all([instance, other].map(probes.leave));
        });

        it('leave no descriptor behind', { skip: network === 'host' }, async (context) => {
          const here = opened(context);
          if (!here) return;
          const { probes } = here;
          const rounds = async (count: number): Promise<void> => {
            for (let at = 0; at < count; at++) {
              const pair = await Promise.all([probes.web(), probes.custom()]);
              await Promise.all(pair.map(here.host.ready));
              await Promise.all(pair.map(probes.leave));
            }
          };
          const count = (): number => readdirSync('/proc/self/fd').length;
          await rounds(2);
          const settled = count();
          await rounds(10);
          await eventually(() => count() <= settled + 2, WITHIN_MS);
        });
      });
