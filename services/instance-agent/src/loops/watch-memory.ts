import type { LifeState } from '../domain/instance-life.ts';
import type { Agent } from '../flows/agent.ts';
import { noteMemory } from '../flows/measure-memory.ts';

/** States in which code of the function may run; the memory of an idle instance is measured when it works again. */
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

/** One round: measures the memory of every instance that works, and kills those above their function's limit. */
export function watchMemory(agent: Agent): void {
  for (const instance of agent.instances.values()) {
    const { process } = instance.runtime;
    if (!process || !WORKING.has(instance.life.kind)) continue;
    const bytes = process.residentBytes();
    noteMemory(instance, bytes);
    const excess = bytes > instance.fn.memoryMb * 1_048_576 ? {} : process.excess();
    if (excess) agent.feed(instance, { kind: 'KILL_ORDERED', end: { kind: 'OUT_OF_MEMORY', ...excess } });
  }
}
