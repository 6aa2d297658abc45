// Writes `handlers` of the runtime of an instance.
import type { ConversationEvents } from '../ports.ts';
import type { Agent } from './agent.ts';
import { extendGrace } from './extend-grace.ts';
import { failStart, isStarting, onGreeted, onLoaded } from './load-function.ts';
import { onAnswer, onFree, onReceived } from './run-attempt.ts';
import { endHook } from './run-hooks.ts';
import type { Instance } from './types.ts';

/** Passes what the runtime of an instance reports to the flow that handles it. */
export function runtimeEvents(agent: Agent, instance: Instance): ConversationEvents {
  return {
    onGreeted(handlersKnown) {
      if (handlersKnown) instance.runtime.handlers = 0; // it reports every change from here on
      onGreeted(agent, instance);
    },
    onLoaded: () => onLoaded(agent, instance),
    onLoadFailed: (fault) => failStart(agent, instance, fault),
    onAnswered: (seq, body, tookMs) =>
      onAnswer(agent, instance, seq, { answer: { returned: true, statusCode: 200, body }, tookMs, mustExit: false }),
    onFailed: (seq, { statusCode, error, tookMs, mustExit }) =>
      onAnswer(agent, instance, seq, { answer: { returned: false, statusCode, body: error }, tookMs, mustExit }),
    onReceived: (seq) => onReceived(agent, instance, seq),
    onFree: () => onFree(agent, instance),
    onFinished: () => void agent.feed(instance, { kind: 'FINISHED' }),
    onHandlers: (signals) => void (instance.runtime.handlers = signals),
    onHookEnded: (seq, ok, text) => endHook(agent, instance, seq, ok, text),
    onExtensionRequested: (ms) => extendGrace(agent, instance, ms),
    onBroken: (text) => onBroken(agent, instance, text),
  };
}

/** The runtime broke the protocol, or stopped talking while it lives: its instance is removed. */
function onBroken(agent: Agent, instance: Instance, reason: string): void {
  const name = `${instance.fn.namespace}/${instance.fn.name}`;
  const count = agent.broken.note(name);
  if (count !== undefined)
    agent.log.warn('The runtime of an instance cannot be talked to', { instance: instance.id, function: name, reason, count });
  if (isStarting(instance)) failStart(agent, instance, { statusCode: 443, message: `The function could not be loaded: ${reason}` });
  else agent.feed(instance, { kind: 'KILL_ORDERED', end: { kind: 'BROKEN', reason } });
}
