import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '../run.ts';
import { run, runBeside } from './programs.ts';

/** A container of the platform as Docker shows it. */
export type Container = {
  readonly id: string;
  readonly service: string;
  readonly pid: number;
  readonly health: string;
  readonly restarts: number;
  readonly addresses: readonly string[];
  readonly environment: readonly string[];
};

const HTTP_PORT = 24_000;
const GRPC_PORT = 24_001;

/** The platform of deploy/compose, under a project name of its own, and how its users speak to it. */
export class Platform {
  readonly project = `evenfall-test-${randomBytes(3).toString('hex')}`;
  readonly url = `http://127.0.0.1:${HTTP_PORT}`;
  #accessKey = '';

  readonly #env = { ...process.env, EVENFALL_HTTP_PORT: String(HTTP_PORT), EVENFALL_GRPC_PORT: String(GRPC_PORT) };

  compose(...args: string[]): string {
    return run(['docker', 'compose', '--file', join(ROOT, 'deploy/compose/compose.yaml'), '--project-name', this.project, ...args], {
      env: this.#env,
    });
  }

  /** What the guide says to type. */
  readAccessKey(): void {
    this.#accessKey = this.compose('exec', '-T', 'gateway', 'cat', '/run/identity/access-key').trim();
  }

  /** `evenfall …`, as JSON. */
  async evenfall<T>(...args: string[]): Promise<T> {
    const env = { ...process.env, EVENFALL_URL: this.url, EVENFALL_ACCESS_KEY: this.#accessKey };
    const command = [process.execPath, join(ROOT, 'tools/cli/bin/evenfall'), '--json', ...args];
    return JSON.parse(await runBeside(command, { env, cwd: ROOT })) as T; // the caller knows the command
  }

  /** A call of the REST API: its status and JSON. Status 0 if nothing answers. */
  async rest(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; json: unknown }> {
    try {
      const answer = await fetch(`${this.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${this.#accessKey}`, 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      });
      return { status: answer.status, json: await answer.json() };
    } catch (error) {
      return { status: 0, json: String(error) };
    }
  }

  containers(): Container[] {
    const ids = run(['docker', 'ps', '--all', '--quiet', '--filter', `label=com.docker.compose.project=${this.project}`])
      .split('\n')
      .filter(Boolean);
    if (ids.length === 0) return [];
    type Shown = {
      readonly Id: string;
      readonly RestartCount: number;
      readonly State: { readonly Pid: number; readonly Status: string; readonly Health?: { readonly Status: string } };
      readonly Config: { readonly Labels: Readonly<Record<string, string>>; readonly Env: readonly string[] };
      readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
    };
    return (JSON.parse(run(['docker', 'inspect', ...ids])) as Shown[]).map((shown) => ({
      id: shown.Id,
      service: shown.Config.Labels['com.docker.compose.service'] ?? '',
      pid: shown.State.Pid,
      health: shown.State.Health?.Status ?? shown.State.Status,
      restarts: shown.RestartCount,
      addresses: Object.values(shown.NetworkSettings.Networks).map(({ IPAddress }) => IPAddress).filter(Boolean), // prettier-ignore
      environment: shown.Config.Env,
    }));
  }

  container(service: string): Container {
    const found = this.containers().find((one) => one.service === service);
    if (!found) throw new Error(`there is no container of ${service}`);
    return found;
  }

  /** What of the project Docker still has. */
  leftovers(): string[] {
    const label = `label=com.docker.compose.project=${this.project}`;
    return (['container', 'network', 'volume'] as const).flatMap(
      (kind) =>
      run(['docker', kind, 'ls', '--quiet', ...(kind === 'container' ? ['--all'] : []), '--filter', label]).split('\n').filter(Boolean).map((id) => `${kind} ${id}`), // prettier-ignore
    );
  }
}

/** Volumes without a name. */
export function anonymousVolumes(): Set<string> {
  return new Set(run(['docker', 'volume', 'ls', '--quiet']).split('\n').filter((name) => /^[0-9a-f]{64}$/.test(name))); // prettier-ignore
}

/** Waits until something holds; what is thrown meanwhile counts as no. */
export async function until<T>(what: string, withinS: number, check: () => T | Promise<T>): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + withinS * 1_000;
  let complaint: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      complaint = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinS} s: ${what}`, { cause: complaint });
    await pause(250);
  }
}
