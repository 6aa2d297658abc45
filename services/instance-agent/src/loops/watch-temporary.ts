import { instanceBounds } from '@evenfall/event-model';
import type { Agent } from '../flows/agent.ts';
import type { TemporaryUse } from '../ports.ts';

const LOOK_EVERY_MS = 1_000;
/** Of the time that a look takes, so that looking never is most of what the agent does. */
const PAUSE_BY_LOOK = 5;
const MB = 1_048_576;

/**
 * Looks once a second at what instances have on disk, where nothing else bounds it, and ends those with more than their function's room. Answers
 * the round: one that comes while a look is under way does nothing.
 */
export function watchTemporary(agent: Agent): () => void {
  let isLooking = false;
  let nextMs = 0;
  const look = async (): Promise<void> => {
    const watched = [...agent.instances.values()].flatMap((instance) => {
      const place = instance.process?.temporary;
      return place ? [{ instance, place }] : [];
    });
    if (watched.length === 0) return;
    const rooms = watched.map(({ instance }) => instanceBounds(instance.fn).tmpMb);
    const uses = await agent.driver.measureTemporary(watched.map(({ place }, i) => ({ ...place, mostBytes: (rooms[i] ?? 0) * MB })));
    for (const [i, { instance }] of watched.entries()) {
      const detail = excessOf(uses[i], rooms[i] ?? 0);
      if (detail === undefined || agent.instances.get(instance.id) !== instance) continue;
      agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'OUT_OF_MEMORY', detail } });
    }
  };
  return () => {
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
}

/** What is too much, in words; undefined if nothing is. */
function excessOf(use: TemporaryUse | undefined, tmpMb: number): string | undefined {
  if (!use) return undefined;
  if (use.bytes > tmpMb * MB) return `Temporary files exceeded the ${tmpMb} MB of tmp_mb`;
  return use.hasTooMany ? 'There were too many temporary files' : undefined;
}
