// The only file that writes `Instance.memory`.
import type { Agent } from './agent.ts';
import type { Instance } from './types.ts';

const READ_INTERVAL_MS = 100;

/** Notes bytes that an instance was seen to have. */
export function noteMemory({ memory }: Instance, bytes: number): void {
  if (bytes > memory.peakBytes) memory.peakBytes = bytes;
}

/** Reads the most that the process of an instance has had. */
export function readPeakMemory(instance: Instance): void {
  noteMemory(instance, instance.runtime.process?.peakBytes() ?? 0);
}

/** The same after an event, at most every 100 ms: instances that serve thousands of events a second are not measured for each. */
export function readPeakMemoryAfterEvent(agent: Agent, instance: Instance): void {
  const nowMs = agent.clock.monotonic();
  if (nowMs - instance.memory.readMs < READ_INTERVAL_MS) return;
  instance.memory.readMs = nowMs;
  readPeakMemory(instance);
}
