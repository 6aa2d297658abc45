// npm run native: builds the launcher of functions for each processor; with --check it builds it elsewhere and compares the bytes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonTools } from '@evenfall/testkit';
import { ROOT } from '../run.ts';

const SOURCE = join(ROOT, 'services/instance-agent/native');
const BIN = join(SOURCE, 'bin');
const TARGETS = { x64: 'x86_64-linux-musl', arm64: 'aarch64-linux-musl' } as const;
const FLAGS = ['-std=c11', '-Os', '-Wall', '-Wextra', '-Werror', '-static', '-s'];

const isCheck = process.argv.includes('--check');
// The compiler is a package of Python's: one version of it, the same bytes on every machine.
const tools = pythonTools(join(ROOT, 'tools/native/requirements.txt'));
if (!tools) {
  process.stdout.write('Skipped: there is no python3 with venv and pip here, or no package index\n');
  process.exit(isCheck && !process.env['CI'] ? 0 : 1);
}
const { python } = tools;
const into = isCheck ? mkdtempSync(join(tmpdir(), 'evenfall-native-')) : BIN;
const sources = readdirSync(SOURCE)
  .filter((name) => name.endsWith('.c'))
  .sort();
try {
  const differing = Object.entries(TARGETS).filter(([arch, target]) => {
    const name = `evenfall-launch-${arch}`;
    const args = ['-m', 'ziglang', 'cc', '-target', target, ...FLAGS, '-o', join(into, name), ...sources];
    const { status, stderr } = spawnSync(python, args, { cwd: SOURCE, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${name} is not built: ${stderr}`);
    return isCheck && !readFileSync(join(into, name)).equals(readFileSync(join(BIN, name)));
  });
  if (differing.length > 0) {
    const names = differing.map(([arch]) => arch).join(' and ');
    process.stderr.write(`The launcher in services/instance-agent/native/bin is not what its source builds for ${names}: npm run native\n`);
    process.exitCode = 1;
  }
} finally {
  if (isCheck) rmSync(into, { recursive: true, force: true });
}
