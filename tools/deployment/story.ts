// What main.ts runs where the engine's published ports are: the platform of deploy/compose from nothing to nothing.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { EventAnswer } from '../cli/src/answers.ts';
import { ROOT } from '../run.ts';
import { crashEach } from './crashes.ts';
import { anonymousVolumes, Platform, until } from './platform.ts';
import { run, print } from './programs.ts';

/** Whose logs are shown when something fails. */
const OURS = [
  'setup',
  'kafka',
  'kafka-rights',
  'registry',
  'event-store',
  'scheduler',
  'queue-1',
  'queue-2',
  'agent-1',
  'agent-2',
  'gateway',
];
const IMAGES = { 'evenfall/service:0.1.0': 'service', 'evenfall/agent:0.1.0': 'agent' } as const;

/** Deploys, invokes, terminates gracefully and reads the receipt, as the quick start does. */
async function quickStart(platform: Platform): Promise<string> {
  platform.readAccessKey();
  await platform.evenfall('deploy', join(ROOT, 'examples/functions/graceful-killer'));
  await platform.evenfall('deploy', join(ROOT, 'examples/functions/echo'));
  const { id } = await platform.evenfall<EventAnswer>('invoke', 'graceful-killer', '--async');
  // What it prints first comes after its handler of the signal.
  await until('the event runs', 60, async () => {
    const { json: logs } = await platform.rest('GET', `/v1/events/${id}/logs`);
    if (JSON.stringify(logs).includes('False')) return true;
    throw new Error(JSON.stringify([await platform.evenfall('events', 'get', id), logs]));
  });
  await platform.evenfall('events', 'terminate', id, '--graceful', '--reason', 'deployment test', '--wait');
  const event = await platform.evenfall<EventAnswer>('events', 'get', id);
  assert.deepEqual([event.state, event.status_code, event.result], ['TERMINATED', 200, 'END']);
  const [step] = event.termination?.steps ?? [];
  assert.deepEqual(
    [step?.signal, step?.disposition, step?.delivery],
    ['SIGTERM', 'CAUGHT', 'DELIVERED'],
    JSON.stringify(event.termination),
  );
  const { status, json } = await platform.rest('POST', '/v1/namespaces/default/functions/echo:invoke', { n: 1 });
  assert.equal(status, 200, JSON.stringify(json));
  print('quick start: deployed, invoked, terminated gracefully, receipt read');
  return id;
}

/** A function tries what is in the other networks, by name and by address, and what is in its own without a certificate. */
async function tryToReach(platform: Platform): Promise<void> {
  await platform.evenfall('deploy', join(ROOT, 'tools/deployment/functions/reach'));
  const ports: Readonly<Record<string, readonly number[]>> = {
    kafka: [9092, 9093, 9094],
    postgres: [5432],
    'queue-1': [9192, 9464],
    'queue-2': [9192, 9464],
    gateway: [8080, 9090, 9464],
  };
  const containers = platform.containers();
  const closed = Object.entries(ports).flatMap(([service, numbers]) => {
    const hosts = [service, ...(containers.find((one) => one.service === service)?.addresses ?? [])];
    return hosts.flatMap((host) => numbers.map((port) => ({ host, port })));
  });
  const open = [
    { host: 'registry', port: 9191 },
    { host: 'scheduler', port: 9193 },
    { host: 'event-store', port: 9194 },
  ];
  const files = ['/run/identity/key.pem', '/run/identity/settings.env', '/var/lib/evenfall/agent', '/proc/1/environ'];
  const payload = JSON.stringify({ reach: [...closed, ...open], call: open, files });
  const event = await platform.evenfall<EventAnswer>('invoke', 'reach', '--async', '--wait', '--payload', payload);
  type Found = { readonly reached: string[]; readonly called: string[]; readonly files: string[]; readonly environment: string[] };
  const found = event.result as Found; // of the function
  assert.equal(found.reached.length, closed.length + open.length);
  for (const [index, { host, port }] of closed.entries())
    assert.notEqual(found.reached[index], 'open', `a function reaches ${host}:${port}`);
  assert.deepEqual(found.reached.slice(closed.length), ['open', 'open', 'open'], 'what agents call can be reached: the probe works');
  for (const [index, { host }] of open.entries()) assert.notEqual(found.called[index], 'answered', `${host} answers without a certificate`);
  for (const [index, file] of files.entries()) assert.ok(!['read', 'empty'].includes(found.files[index] ?? ''), `a function reads ${file}`);
  assert.deepEqual(
    found.environment.filter((name) => /EVENFALL_(TLS|METRICS|INTERNAL)|PASSWORD/.test(name)),
    [],
  );
  print(`a function reached none of ${closed.length} ports of Kafka, Postgres, queues and gateway, and was answered by no service`);
  print(`  such as: ${[...new Set(found.reached.slice(0, closed.length))].join('; ')}; ${[...new Set(found.called)].join('; ')}`);
}

/** Secrets are in files, and no service is the superuser of the database. */
function lookAtRights(platform: Platform): void {
  for (const { service, environment } of platform.containers())
    for (const variable of environment)
      assert.ok(
        !/^[A-Z_]*(PASSWORD|TOKEN|KEYS?|POSTGRES_URL)=/.test(variable) || /_TLS_KEY=\/run\//.test(variable),
        `${service}: ${variable.split('=')[0] ?? ''} is in its environment`,
      );
  const query =
    'SELECT DISTINCT usename, usesuper FROM pg_stat_activity JOIN pg_user USING (usename) WHERE client_addr IS NOT NULL ORDER BY 1';
  const users = platform.compose('exec', '-T', 'postgres', 'psql', '-U', 'postgres', '-d', 'evenfall', '-Atc', query).trim();
  assert.equal(users, 'evenfall_event_store|f\nevenfall_registry|f');
  const keyOf = (container: string): string => platform.compose('exec', '-T', container, 'sha256sum', '/run/identity/key.pem');
  const all = ['registry', 'event-store', 'scheduler', 'queue-1', 'gateway', 'agent-1', 'agent-2'].map(keyOf);
  assert.equal(new Set(all).size, all.length, 'each has a key of its own');
  print('no secret in an environment; registry and event-store have a role each in Postgres, and neither is a superuser');
}

/** Kafka was killed meanwhile. The passwords are in its volume: to set them again would start a JVM for each, beside a broker that recovers. */
function checkPasswordsAreSetOnce(platform: Platform): void {
  const set = platform.compose('logs', '--no-log-prefix', 'kafka').match(/Completed updating config for user \S+/g) ?? [];
  assert.deepEqual(set.map((line) => line.replace(/^.* |\.$/g, '')).sort(), ['admin', 'event-store', 'queue']); // prettier-ignore
}

function printSizes(): void {
  for (const image of Object.keys(IMAGES)) {
    const bytes = Number(run(['docker', 'image', 'inspect', '--format', '{{.Size}}', image]));
    print(`${image}: ${(bytes / 1_000_000).toFixed(0)} MB`);
  }
}

/** Stops everything, with what it has, and starts it again. */
async function downAndUp(platform: Platform, eventId: string, before: ReadonlySet<string>): Promise<void> {
  platform.compose('down');
  const left = [...anonymousVolumes()].filter((name) => !before.has(name));
  assert.deepEqual(left, [], 'down leaves no volumes without a name');
  const began = performance.now();
  platform.compose('up', '--wait');
  print(`down, and up again in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  assert.match(platform.compose('logs', '--no-log-prefix', 'setup'), /issued for none; 9 kept/);
  platform.readAccessKey();
  assert.equal((await platform.evenfall<EventAnswer>('events', 'get', eventId)).state, 'TERMINATED');
  const { status } = await platform.rest('POST', '/v1/namespaces/default/functions/echo:invoke', { again: true });
  assert.equal(status, 200);
  print('functions, events, keys and certificates are those from before');
}

async function story(killByPid: boolean): Promise<void> {
  const platform = new Platform();
  const before = anonymousVolumes();
  const hadImages = Object.keys(IMAGES).filter((image) => run(['docker', 'image', 'ls', '--quiet', image]).trim() !== '');
  const remove = (): void => {
    platform.compose('down', '--volumes', '--remove-orphans');
    for (const image of Object.keys(IMAGES)) if (!hadImages.includes(image)) run(['docker', 'image', 'rm', '--force', image]);
    for (const name of anonymousVolumes()) if (!before.has(name)) run(['docker', 'volume', 'rm', name]);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      remove();
      process.exit(130);
    });
  try {
    for (const [image, target] of Object.entries(IMAGES))
      run(['docker', 'build', '--file', join(ROOT, 'deploy/docker/Dockerfile'), '--target', target, '--tag', image, ROOT]);
    print('both images built');
    printSizes();
    platform.compose('up', '--build', '--wait');
    print(`${platform.containers().filter(({ health }) => health === 'healthy').length} containers healthy`); // prettier-ignore
    const eventId = await quickStart(platform);
    lookAtRights(platform);
    await tryToReach(platform);
    await crashEach(platform, killByPid);
    checkPasswordsAreSetOnce(platform);
    await downAndUp(platform, eventId, before);
  } catch (error) {
    process.stderr.write(`${platform.containers().map((one) => `${one.service}: ${one.health}, ${one.restarts} restarts`).join('\n')}\n`); // prettier-ignore
    process.stderr.write(`${platform.compose('logs', '--no-color', '--tail', '25', ...OURS)}\n`);
    throw error;
  } finally {
    remove();
    assert.deepEqual(platform.leftovers(), []);
  }
}

await story(process.argv.includes('--kill-by-pid'));
