// npm run test:cgroup2 [-- test files]: runs tests of the instance agent in an emulated Debian with systemd and cgroup v2, whatever
// the cgroups of this machine. Needs Debian or Ubuntu, root, and the programs below; everything runs in software, so it is slow.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runGuest } from './boot.ts';
import { baseImage, checkoutImage } from './images.ts';
import { requirePrograms } from './programs.ts';

const DEFAULT_TESTS = ['attacks', 'attacks-without-mounts', 'attacks-ordinary-user', 'bounds', 'isolation', 'exits', 'networks'].map(
  (name) => `services/instance-agent/src/${name}.int.test.ts`,
);

const asked = process.argv.slice(2);
const tests = asked.length > 0 ? asked : DEFAULT_TESTS;
requirePrograms();
const dir = mkdtempSync(join(tmpdir(), 'evenfall-guest-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const base = baseImage();
const checkout = checkoutImage(dir, tests);
process.exit(await runGuest(dir, base, checkout));
