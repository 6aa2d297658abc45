import type { LifeState } from '../domain/instance-life.ts';
import type { Agent } from '../flows/agent.ts';

/** Lives in which code of the function may run; the memory of an idle instance is looked at when it works again. */
const WORKING: ReadonlySet<LifeState['kind']> = new Set([
  'STARTING',
  'BUSY',
  'ANSWERED',
  'FAILED',
  'SETTLING',
  'TERMINATING',
  'EXITING',
  'HOOKING',
  'LEAVING',
]);

/** One round: looks at the memory of every instance that works and kills those above their function's limit. */
export function watchMemory(agent: Agent): void {
  for (const instance of agent.instances.values()) {
    if (!instance.process || !WORKING.has(instance.life.kind)) continue;
    const bytes = instance.process.residentBytes();
    if (bytes > instance.peakBytes) instance.peakBytes = bytes;
    const excess = bytes > instance.fn.memoryMb * 1_048_576 ? {} : instance.process.excess();
    if (excess) agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'OUT_OF_MEMORY', ...excess } });
  }
}
