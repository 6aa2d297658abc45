// Checks deploy/: the Dockerfile, the compose file against the Compose specification, the manifests against Kubernetes' own schemas, and
// every variable they set against the settings of the service that is given it.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseEnv } from 'node:util';
import { validate } from 'dockerfile-utils';
import { ROOT } from '../run.ts';
import { composeNetworkFaults } from './compose-networks.ts';
import { identityFaults } from './identity-faults.ts';
import { policyFaults } from './policy-faults.ts';
import { servicesOfCompose, servicesOfKubernetes, drainFaults, settingsFaults } from './settings-faults.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const faults: string[] = [];

function run(name: string, program: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) faults.push(`${name}:\n${stdout}${stderr}${error?.message ?? ''}`);
}

/** The validator in an environment of its own, in the user's cache: made once, whole or not at all. */
function kubernetesValidate(): string {
  const requirements = join(ROOT, 'tools/deploy/requirements.txt');
  const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const dir = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'evenfall', `deploy-${version}`);
  const program = join(dir, 'bin/kubernetes-validate');
  const marker = join(dir, 'complete');
  if (existsSync(marker)) return program;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, '..'), { recursive: true });
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', dir],
    [join(dir, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', '-r', requirements],
  ] as const) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`The validator of the manifests cannot be installed (python3 with venv, and PyPI, are needed):\n${stderr}`);
  }
  mkdirSync(marker);
  return program;
}

/** An overlay with its base and components; undefined where there is no kubectl to put them together. */
function render(overlay: string): string | undefined {
  const { status, stdout, stderr, error } = spawnSync('kubectl', ['kustomize', overlay], { cwd: ROOT, encoding: 'utf8' });
  if (error) process.stderr.write(`kubectl is not here: what is in deploy/k8s/overlays and components is not checked (${error.message})\n`);
  else if (status !== 0) faults.push(`${overlay}: ${stderr}`);
  return error || status !== 0 ? undefined : stdout;
}

/** Against the schemas of Kubernetes' own kinds; those of cert-manager are looked at in `identityFaults`. */
function validateRendered(overlay: string, rendered: string): void {
  const dir = mkdtempSync(join(tmpdir(), 'evenfall-overlay-'));
  const file = join(dir, 'rendered.yaml');
  writeFileSync(file, rendered.split(/^---$/m).filter((one) => !/^apiVersion: cert-manager\.io\//m.test(one)).join('---')); // prettier-ignore
  run(overlay, kubernetesValidate(), ['--strict', '--quiet', file]);
  rmSync(dir, { recursive: true, force: true });
}

function manifestFaults(files: Readonly<Record<string, string>>): string[] {
  const deployed = servicesOfKubernetes(files);
  return [...deployed.flatMap(settingsFaults), ...deployed.flatMap(drainFaults)];
}

for (const { message, range } of validate(read('deploy/docker/Dockerfile')))
  faults.push(`deploy/docker/Dockerfile:${range.start.line + 1}: ${typeof message === 'string' ? message : message.value}`);

run('compose.yaml', join(ROOT, 'node_modules/.bin/dclint'), [
  '--config',
  'tools/deploy/dclint.json',
  '--color',
  'false',
  'deploy/compose/compose.yaml',
]);

const manifests = globSync('deploy/k8s/base/*.yaml', { cwd: ROOT }).sort();
const checked = manifests.filter((file) => basename(file) !== 'kustomization.yaml');
run('deploy/k8s', kubernetesValidate(), ['--strict', '--quiet', ...checked, 'deploy/k8s/components/ingress/ingress.yaml']);
const kustomization = read('deploy/k8s/base/kustomization.yaml');
const listed = [...kustomization.matchAll(/^ {2}- (\S+\.yaml)$/gm)].map(([, file = '']) => file);
for (const file of listed)
  if (!manifests.includes(`deploy/k8s/base/${file}`)) faults.push(`kustomization.yaml lists ${file}, which is not there`);
for (const file of checked.map((path) => basename(path)))
  if (!listed.includes(file) && !file.includes('.example.')) faults.push(`kustomization.yaml does not list ${file}`);

for (const file of ['deploy/docker/Dockerfile', 'deploy/compose/compose.yaml', ...checked])
  for (const [, image = ''] of read(file).matchAll(/(?:^FROM|\bimage:) +(\S+)/gm))
    if (image.includes('/') || image.includes(':')) if (!/:[\w.-]*\d/.test(image)) faults.push(`${file}: ${image} names no version`);

const variables = parseEnv(read('deploy/compose/env.example')) as Record<string, string>; // every line of it has a value
const compose = servicesOfCompose(read('deploy/compose/compose.yaml'), variables);
faults.push(
  ...compose.flatMap(settingsFaults),
  ...compose.flatMap(drainFaults),
  ...composeNetworkFaults(read('deploy/compose/compose.yaml')),
);

const example = { 'secret.example.yaml': read('deploy/k8s/base/secret.example.yaml') };
const base = Object.fromEntries(checked.map((file) => [basename(file), read(file)]));
faults.push(...manifestFaults(base), ...policyFaults(base));
for (const overlay of globSync('deploy/k8s/overlays/*', { cwd: ROOT }).sort()) {
  const rendered = render(overlay);
  if (rendered === undefined) break;
  const files = { [basename(overlay)]: rendered, ...example };
  validateRendered(overlay, rendered);
  faults.push(...[...manifestFaults(files), ...policyFaults(files), ...identityFaults(files)].map((fault) => `${overlay}: ${fault}`));
}

for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
