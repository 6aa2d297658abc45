import { instanceBounds } from '@evenfall/function-model';
import type { Agent } from '../flows/agent.ts';
import type { TemporaryUse } from '../ports.ts';

const LOOK_EVERY_MS = 1_000;
/** Times the duration of a look, so that looking is never most of the agent's work. */
const PAUSE_BY_LOOK = 5;
const MB = 1_048_576;

export type TemporaryWatch = {
  /** One round; it does nothing while a look is under way. */
  round(): void;
  /** Megabytes of memory that temporary files held at the last look, rounded down. */
  heldMb(): number;
};

/**
 * Looks once a second at temporary files of instances: how much memory they hold, and, where they are on disk and nothing else bounds them, whether
 * an instance has more than its function's room, which ends it.
 */
export function watchTemporary(agent: Agent): TemporaryWatch {
  let isLooking = false;
  let nextMs = 0;
  let heldMb = 0;
  const weigh = async (): Promise<void> => {
    let bytes = 0;
    for (const { runtime } of agent.instances.values()) bytes += (await runtime.process?.filesBytes()) ?? 0;
    heldMb = Math.floor(bytes / MB);
  };
  const look = async (): Promise<void> => {
    await weigh();
    const watched = [...agent.instances.values()].flatMap((instance) => {
      const place = instance.runtime.process?.temporary;
      return place ? [{ instance, place }] : [];
    });
    if (watched.length === 0) return;
    const rooms = watched.map(({ instance }) => instanceBounds(instance.fn).tmpMb);
    const uses = await agent.driver.measureTemporary(watched.map(({ place }, i) => ({ ...place, mostBytes: (rooms[i] ?? 0) * MB })));
    for (const [i, { instance }] of watched.entries()) {
      const detail = excessOf(uses[i], rooms[i] ?? 0);
      if (detail === undefined || agent.instances.get(instance.id) !== instance) continue;
      agent.feed(instance, { kind: 'KILL_ORDERED', end: { kind: 'OUT_OF_MEMORY', detail } });
    }
  };
  const round = (): void => {
    const nowMs = agent.clock.monotonic();
    if (isLooking || nowMs < nextMs) return;
    isLooking = true;
    void look()
      .catch((error: unknown) => agent.log.error('Temporary files cannot be looked at', error))
      .finally(() => {
        isLooking = false;
        const endMs = agent.clock.monotonic();
        nextMs = Math.max(nowMs + LOOK_EVERY_MS, endMs + (endMs - nowMs) * PAUSE_BY_LOOK);
      });
  };
  return { round, heldMb: () => heldMb };
}

/** What is too much, for people; undefined if nothing is. */
function excessOf(use: TemporaryUse | undefined, tmpMb: number): string | undefined {
  if (!use) return undefined;
  if (use.bytes > tmpMb * MB) return `Temporary files exceeded the ${tmpMb} MB of tmp_mb`;
  return use.hasTooMany ? 'There were too many temporary files' : undefined;
}
