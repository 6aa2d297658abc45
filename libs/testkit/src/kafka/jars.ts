import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const POM = fileURLToPath(new URL('../../../../tools/kafka/pom.xml', import.meta.url));
/** Longer than any download that is still alive. */
const FETCH_MS = 300_000;

/** Why Kafka cannot be run here, in words; undefined if it can. */
export function whyNoKafka(): string | undefined {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(java.stderr ?? '')?.[1]);
  if (!(version >= 17)) return `Java 17 or newer is needed, and there is ${java.error ? 'none' : java.stderr.split('\n')[0]}`;
  if (existsSync(jarsDir())) return undefined;
  return spawnSync('mvn', ['-v'], { stdio: 'ignore' }).status === 0 ? undefined : 'mvn, which fetches its jars, is missing';
}

/**
 * The folder with the jars of the Kafka that `tools/kafka/pom.xml` names. They are fetched once, by mvn, into the user's cache; of several
 * processes that want them at the same time one fetches and the others wait. What was fetched appears whole or not at all.
 */
export async function kafkaJars(): Promise<string> {
  const dir = jarsDir();
  if (existsSync(dir)) return dir;
  mkdirSync(dirname(dir), { recursive: true });
  const lock = `${dir}.lock`;
  while (!tryLock(lock)) {
    await sleep(200);
    if (existsSync(dir)) return dir;
  }
  try {
    if (!existsSync(dir)) await fetchInto(dir);
    return dir;
  } finally {
    rmSync(lock, { force: true });
  }
}

function jarsDir(): string {
  const version = /<kafka\.version>([^<]+)</.exec(readFileSync(POM, 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${POM} names no version of Kafka`);
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'evenfall', `kafka-${version}`);
}

/** One that was killed leaves its lock behind: it counts for as long as its process lives, and never longer than a download takes. */
function tryLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    if (!isHeld(lock)) rmSync(lock, { force: true });
    return false;
  }
}

function isHeld(lock: string): boolean {
  try {
    if (Date.now() - statSync(lock).mtimeMs > FETCH_MS) return false;
    const holder = Number(readFileSync(lock, 'utf8'));
    if (holder > 0) process.kill(holder, 0); // empty: just being written
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'; // another user's process is alive too
  }
}

async function fetchInto(dir: string): Promise<void> {
  const making = mkdtempSync(`${dir}.`);
  const args = ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${making}`];
  const mvn = spawn('mvn', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: FETCH_MS });
  let output = '';
  const listen = (chunk: Buffer): void => void (output = (output + chunk.toString('utf8')).slice(-4_096));
  mvn.stdout.on('data', listen);
  mvn.stderr.on('data', listen);
  const code = await new Promise<number | null>((resolve, reject) => mvn.once('error', reject).once('close', resolve));
  if (code !== 0) {
    rmSync(making, { recursive: true, force: true });
    throw new Error(`mvn could not fetch Kafka (${code ?? 'killed'}):\n${output.trim()}`);
  }
  renameSync(making, dir);
}
