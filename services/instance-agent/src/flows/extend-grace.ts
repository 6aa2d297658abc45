import { durationOfMs } from '@evenfall/time';
import type { Agent, Instance } from './agent.ts';
import { MAX_NOTES } from './begin-stop.ts';

/** What a function is told that asked for more time: milliseconds, and why they are fewer than it asked for. */
export type Extension = { readonly grantedMs: number; readonly reason: string };

const GONE: Extension = { grantedMs: 0, reason: 'The instance is being removed' };

/** Gives an instance more time to stop, as much of it as may be had. Every request is on the receipt. The one way in, for every runtime. */
export function extendGrace(agent: Agent, instance: Instance, ms: number): Extension {
  instance.extension = undefined;
  agent.feed(instance, { kind: 'EXTEND', nowMs: agent.clock.monotonic(), ms });
  const extension = instance.extension ?? GONE;
  const notes = instance.current?.stop?.extensions;
  if (notes && notes.length < MAX_NOTES) {
    const time = new Date(agent.clock.now());
    notes.push({ time, requested: durationOfMs(ms), granted: durationOfMs(extension.grantedMs), reason: extension.reason });
  }
  return extension;
}
