import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { type Platform, until } from './platform.ts';
import { run, print } from './programs.ts';

const EVENTS_PER_SECOND = 5;
const SERVICES = [
  'registry',
  'event-store',
  'scheduler',
  'queue-1',
  'queue-2',
  'agent-1',
  'agent-2',
  'gateway',
  'postgres',
  'kafka',
] as const;

type Event = { readonly id: string; readonly state: string; readonly attempts?: readonly unknown[] };

/**
 * Kills the main process of each container under a small load, one after another, each once the one before is well again. Every event that was accepted
 * has to succeed. `killByPid` is for an engine on this machine: its restart policy then brings the container back, as after a crash.
 */
export async function crashEach(platform: Platform, killByPid: boolean): Promise<void> {
  const load = new Load(platform);
  const done = load.run();
  try {
    for (const service of SERVICES) {
      const before = platform.container(service);
      const at = performance.now();
      if (killByPid) process.kill(before.pid, 'SIGKILL');
      else {
        // A kill by the engine counts as a stop by hand, which it does not make good.
        run(['docker', 'kill', '--signal', 'KILL', before.id]);
        run(['docker', 'start', before.id]);
      }
      await until(`${service} is healthy after it was killed`, 300, () => {
        const now = platform.container(service);
        return now.pid !== before.pid && now.pid > 0 && now.health === 'healthy';
      });
      print(`${service} killed, and healthy ${((performance.now() - at) / 1_000).toFixed(0)} s later`);
      await until('the REST API is ready', 60, async () => (await platform.rest('GET', '/readyz')).status === 200);
    }
  } finally {
    load.stop();
    await done;
  }
  await load.settle();
}

/** Events of echo at a steady rate, each accepted once, however often it has to be asked. */
class Load {
  readonly #platform: Platform;
  readonly #accepted = new Map<string, number>();
  #isStopped = false;
  #asked = 0;
  #refused = 0;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async run(): Promise<void> {
    const open = new Set<Promise<void>>();
    for (let number = 0; !this.#isStopped; number++) {
      const one = this.#accept(number).finally(() => open.delete(one));
      open.add(one);
      await pause(1_000 / EVENTS_PER_SECOND);
    }
    await Promise.all(open);
  }

  async #accept(number: number): Promise<void> {
    const headers = { 'idempotency-key': `crash-${number}` };
    this.#asked++;
    await until(`event ${number} is accepted`, 240, async () => {
      const { status, json } = await this.#platform.rest('POST', '/v1/namespaces/default/functions/echo/events', { number }, headers);
      if (status !== 202) {
        this.#refused++;
        return false;
      }
      this.#accepted.set((json as Event).id, number); // an event, as 202 says
      return true;
    });
  }

  async settle(): Promise<void> {
    assert.equal(this.#accepted.size, this.#asked, 'every event is accepted once');
    const open = new Set(this.#accepted.keys());
    let again = 0;
    await until('every accepted event has succeeded', 180, async () => {
      for (const id of open) {
        const { status, json } = await this.#platform.rest('GET', `/v1/events/${id}`);
        const event = json as Event; // where status is 200
        if (status !== 200 || event.state !== 'SUCCEEDED') continue;
        open.delete(id);
        if ((event.attempts?.length ?? 1) > 1) again++;
      }
      if (open.size > 0) throw new Error(`${open.size} of ${this.#accepted.size} are open, among them ${[...open][0] ?? ''}`);
      return true;
    });
    print(
      `${this.#accepted.size} events accepted meanwhile, all succeeded; ${again} in more than one attempt, ${this.#refused} answers had to be asked for again`,
    );
  }
}
