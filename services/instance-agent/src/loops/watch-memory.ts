import type { Agent } from '../flows/agent.ts';

/** One round: looks at the memory of every instance that works and kills those above their function's limit. */
export function watchMemory(agent: Agent): void {
  for (const instance of agent.instances.values()) {
    const kind = instance.life.kind;
    if (!instance.process || (kind !== 'BUSY' && kind !== 'STARTING' && kind !== 'TERMINATING')) continue;
    const bytes = instance.process.residentBytes();
    if (bytes > instance.peakBytes) instance.peakBytes = bytes;
    if (bytes > instance.fn.memoryMb * 1_048_576 || instance.process.ranOutOfMemory())
      agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'OUT_OF_MEMORY' } });
  }
}
