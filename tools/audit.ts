// Asks the registry for known weaknesses of what is installed with the product. A registry that does not answer such questions is no failure.
import { spawnSync } from 'node:child_process';
import { ROOT } from './run.ts';

type Report = {
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly severity: string; readonly via: readonly (string | { readonly title: string })[] }>
  >;
};

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
const { vulnerabilities } = JSON.parse(stdout === '' ? '{}' : stdout) as Report; // as npm writes it; what is not there is not looked at
if (!vulnerabilities) {
  process.stdout.write('Skipped: the registry does not say which weaknesses are known\n');
  process.exit(0);
}
const found = Object.entries(vulnerabilities);
for (const [name, { severity, via }] of found) {
  const titles = via.map((one) => (typeof one === 'string' ? `by ${one}` : one.title));
  process.stderr.write(`${severity.padEnd(8)} ${name}: ${titles.join('; ')}\n`);
}
process.stdout.write(`${found.length} known weaknesses\n`);
process.exit(found.some(([, { severity }]) => severity === 'high' || severity === 'critical') ? 1 : 0);
