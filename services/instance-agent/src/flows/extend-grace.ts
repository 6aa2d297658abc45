import { LIMITS } from '@evenfall/event-model';
import { durationOfMs } from '@evenfall/time';
import type { Agent } from './agent.ts';
import type { Instance } from './types.ts';

/** The answer to a function that requests more time: milliseconds, and why they are fewer than requested. */
export type Extension = { readonly grantedMs: number; readonly reason: string };

const GONE: Extension = { grantedMs: 0, reason: 'The instance is being removed' };

/** Gives an instance more time to stop, as much of it as its plan allows. Every request is noted on the receipt. The one entry point, for every runtime. */
export function extendGrace(agent: Agent, instance: Instance, ms: number): Extension {
  const effects = agent.feed(instance, { kind: 'EXTEND', nowMs: agent.clock.monotonic(), ms });
  const extension = effects.find((effect) => effect.kind === 'ANSWER_EXTENSION') ?? GONE;
  const phase = instance.work.current?.phase;
  const notes = phase?.kind === 'RUNNING' ? phase.stop?.extensions : undefined;
  // A hostile function could request more time for ever.
  if (notes && notes.length < LIMITS.receiptEntries) {
    const time = new Date(agent.clock.now());
    notes.push({ time, requested: durationOfMs(ms), granted: durationOfMs(extension.grantedMs), reason: extension.reason });
  }
  return { grantedMs: extension.grantedMs, reason: extension.reason };
}
