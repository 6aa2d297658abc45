import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Longer than any download and build that is still alive. */
const BUILD_MS = 600_000;

/** Files of a code package, by path. */
export type PackageFiles = Readonly<Record<string, Buffer>>;

/**
 * Programs of a folder with a go.mod, by the name of their folder (of the module, for its root), linked statically. Built once for the same sources,
 * into the user's cache. undefined, after a line that says so loudly, where there is no go.
 */
export function goPrograms(dir: string): Readonly<Record<string, Buffer>> | undefined {
  if (lacks('go', ['version'])) return undefined;
  return filesIn(
    made('go', [dir], (into) => {
      // -buildvcs: a copy is no repository, and the sources of the library are what its go.sum says.
      const args = ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', `${into}/`, './...'];
      run('go', args, { cwd: dir, env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' } });
    }),
  );
}

/** A program that is published as a Go module, as "module/path@version"; kept in the user's cache. undefined, loudly, where there is no go. */
export function goTool(module: string): string | undefined {
  if (lacks('go', ['version'])) return undefined;
  const dir = made(`go-tool ${module}`, [], (into) => {
    run('go', ['install', module], { env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOBIN: into } });
  });
  return join(dir, /([^/]+)@[^@]*$/.exec(module)?.[1] ?? '');
}

/**
 * The program of a folder with a Cargo.toml, by the name of its package. It takes a minute to build: only where EVENFALL_TEST_RUST is set, or
 * EVENFALL_TEST_TOOLCHAINS is `required`. undefined otherwise.
 */
export function rustProgram(dir: string, name: string): Buffer | undefined {
  if (!process.env['EVENFALL_TEST_RUST'] && process.env['EVENFALL_TEST_TOOLCHAINS'] !== 'required') return undefined;
  if (lacks('cargo', ['--version'])) return undefined;
  const built = made('rust', [dir], (into) => {
    const target = mkdtempSync(join(into, 'target-'));
    run('cargo', ['build', '--release', '--locked', '--quiet', '--target-dir', target], { cwd: dir, env: process.env });
    cpSync(join(target, 'release', name), join(into, name));
    rmSync(target, { recursive: true });
  });
  return readFileSync(join(built, name));
}

/** What a requirements.txt names, for the host's python3, and that python3. undefined, loudly, where there is no python3 with venv. */
export function pythonPackages(requirements: string): { readonly python: string; readonly files: PackageFiles } | undefined {
  if (lacks('python3', ['-c', 'import ensurepip, venv'])) return undefined;
  const python = run('python3', ['-c', 'import sys; print(sys.executable + " " + sys.version.split()[0])'], {}).stdout.trim();
  const dir = made(`python-${python}`, [requirements], (into) => {
    const venv = mkdtempSync(join(into, 'venv-'));
    run('python3', ['-m', 'venv', venv], {});
    run(
      join(venv, 'bin/python'),
      ['-m', 'pip', 'install', '-q', '--no-compile', '--only-binary', ':all:', '--target', into, '-r', requirements],
      {},
    );
    rmSync(venv, { recursive: true });
  });
  return { python: python.split(' ')[0] ?? '', files: filesIn(dir) };
}

/**
 * A Python environment with what a requirements.txt names, made once in the user's cache; its modules are run with `-m`. undefined, loudly, where
 * it cannot be made: without python3 with venv, or without a package index. With CI set that is a failure.
 */
export function pythonTools(requirements: string): { readonly python: string; readonly bin: string } | undefined {
  try {
    if (spawnSync('python3', ['-c', 'import ensurepip, venv'], { stdio: 'ignore' }).status !== 0) throw new Error('python3 has no venv');
    const dir = made('python-tools', [requirements], (into) => {
      run('python3', ['-m', 'venv', into], {});
      run(join(into, 'bin/python'), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', requirements], {});
    });
    return { python: join(dir, 'bin/python'), bin: join(dir, 'bin') };
  } catch (error) {
    if (process.env['CI']) throw error;
    process.stderr.write(`\n!!! SKIPPED: what needs the Python packages of ${requirements}. ${String(error).slice(0, 500)}\n\n`);
    return undefined;
  }
}

/** A folder with a package.json, with its dependencies installed. */
export function nodePackage(dir: string): PackageFiles {
  return filesIn(
    made('node', [dir], (into) => {
      cpSync(dir, into, { recursive: true });
      run('npm', ['install', '--no-audit', '--no-fund', '--no-bin-links', '--ignore-scripts', '--omit=dev'], {
        cwd: into,
        env: process.env,
      });
      rmSync(join(into, 'node_modules/.package-lock.json'), { force: true });
    }),
  );
}

/** Files of a folder and below it. */
export function filesIn(dir: string): PackageFiles {
  const files: Record<string, Buffer> = {};
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(dir.length + 1)] = readFileSync(path);
  }
  return files;
}

/**
 * A program of a Debian package, which has its name if nothing else is said: the host's, or one that apt downloads, kept in the user's cache. undefined, loudly, where there is
 * neither; with CI set that is a failure.
 */
export function debianProgram(name: string, debianPackage = name): string | undefined {
  const installed = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
  if (installed.status === 0) return installed.stdout.trim();
  try {
    const dir = made(`debian ${debianPackage}`, [], (into) => {
      run('apt-get', ['download', debianPackage], { cwd: into });
      for (const archive of readdirSync(into)) run('dpkg', ['-x', join(into, archive), into], {});
    });
    return join(dir, 'usr/bin', name);
  } catch (error) {
    const why = `${name} is not installed, and apt has none: ${error instanceof Error ? error.message : String(error)}`;
    if (process.env['CI']) throw new Error(why, { cause: error });
    process.stderr.write(`\n!!! SKIPPED: tests with ${name}. ${why}\n\n`);
    return undefined;
  }
}

/** The folder that was made of these sources; it appears whole or not at all. */
function made(kind: string, sources: readonly string[], make: (into: string) => void): string {
  const hash = createHash('sha256').update(`${kind} ${process.arch}`);
  for (const source of sources) {
    const files = statSync(source).isDirectory() ? filesIn(source) : { [source.slice(source.lastIndexOf('/'))]: readFileSync(source) };
    for (const path of Object.keys(files).sort()) hash.update(`${path}\0`).update(files[path] ?? '');
  }
  const root = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'evenfall', 'functions');
  const dir = join(root, hash.digest('hex').slice(0, 32));
  if (existsSync(dir)) return dir;
  mkdirSync(root, { recursive: true });
  const making = mkdtempSync(`${dir}.`);
  try {
    make(making);
    renameSync(making, dir);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    if (!existsSync(dir)) throw error; // another process was faster
  }
  return dir;
}

function lacks(program: string, args: readonly string[]): boolean {
  if (spawnSync(program, args, { stdio: 'ignore' }).status === 0) return false;
  const why = `${program} is missing (it was asked to ${args.join(' ')})`;
  if (process.env['EVENFALL_TEST_TOOLCHAINS'] === 'required') throw new Error(`Functions of real clients cannot be built: ${why}.`);
  process.stderr.write(`\n!!! SKIPPED: tests with functions that ${program} builds. ${why}.\n\n`);
  return true;
}

function run(program: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv }): SpawnSyncReturns<string> {
  const done = spawnSync(program, args, { ...options, encoding: 'utf8', timeout: BUILD_MS });
  if (done.status === 0) return done;
  throw new Error(
    `${program} ${args.join(' ')} ended with ${done.status ?? done.signal ?? String(done.error)}:\n${done.stderr.slice(-4_096)}`,
  );
}
