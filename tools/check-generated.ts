// Generates again, beside, and compares: what is in the repository must be what the protos say.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './run.ts';

const GEN = 'libs/contracts/src/gen';
const dir = mkdtempSync(join(tmpdir(), 'evenfall-gen-'));
try {
  cpSync(join(ROOT, 'buf.gen.yaml'), join(dir, 'buf.gen.yaml'));
  execFileSync('buf', ['generate', '--output', dir], { cwd: ROOT, stdio: 'inherit' });
  execFileSync('buf', ['build', '--as-file-descriptor-set', '-o', join(dir, GEN, 'image.binpb')], { cwd: ROOT, stdio: 'inherit' });
  const different = compare(join(ROOT, GEN), join(dir, GEN));
  for (const file of different) process.stderr.write(`${GEN}/${file} is not what the protos say; run npm run gen\n`);
  process.exitCode = different.length > 0 ? 1 : 0;
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function compare(kept: string, made: string): string[] {
  const names = (root: string): string[] =>
    (readdirSync(root, { recursive: true }) as string[]).filter((name) => statSync(join(root, name)).isFile());
  const all = new Set([...names(kept), ...names(made)]);
  return [...all].filter((name) => {
    try {
      return !readFileSync(join(kept, name)).equals(readFileSync(join(made, name)));
    } catch {
      return true; // only on one side
    }
  });
}
