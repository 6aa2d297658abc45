// The only file that writes `Instance.hooks`.
import type { FunctionMessage, Hook } from '@evenfall/contracts/v1/function';
import { hookTimeoutMsOf } from '@evenfall/function-model';
import type { StartFault } from '../domain/instance-life.ts';
import type { HookKind } from '../ports.ts';
import type { Agent } from './agent.ts';
import { addPlatformLine } from './collect-output.ts';
import { nextCallSeq } from './instance-work.ts';
import type { Instance, RunningHook } from './types.ts';

const NAMES: Readonly<Record<HookKind, string>> = { INITIALIZER: 'Initialize', PRE_STOP: 'PreStop' };

/** Runs the Initializer, if there is one; its lines and its id are those of the event that waits for the instance, if one does. */
export function runInitializer(agent: Agent, instance: Instance, done: (fault: StartFault | undefined) => void): void {
  const hook = instance.fn.initializer;
  if (!hook || hook.handler === '') return done(undefined);
  const requestId = instance.work.waiting[0]?.eventId ?? instance.id;
  agent.deadlines.set(instance, agent.clock.monotonic() + hookTimeoutMsOf(hook));
  runHook(agent, instance, 'INITIALIZER', hook, requestId, (ok, text) =>
    done(ok ? undefined : { statusCode: 450, message: `The Initializer failed: ${text}` }),
  );
}

/** Runs the PreStop hook of an instance that has nothing else to do. Its id is that of the instance, under which its lines are kept. */
export function runPreStop(agent: Agent, instance: Instance): void {
  const hook = instance.fn.preStop;
  const end = (): void => void agent.feed(instance, { kind: 'HOOK_ENDED', nowMs: agent.clock.monotonic() });
  if (!hook) return end();
  instance.hooks.preStopMs = agent.clock.monotonic();
  runHook(agent, instance, 'PRE_STOP', hook, instance.id, (ok, text) => {
    if (!ok) agent.log.warn('A PreStop hook failed', { instance: instance.id, function: instance.fn.name, error: text });
    end();
  });
}

function runHook(
  agent: Agent,
  instance: Instance,
  kind: HookKind,
  hook: Hook,
  requestId: string,
  then: (ok: boolean, text: string) => void,
): void {
  const { conversation } = instance.runtime;
  const addLine = (text: string): void => {
    if (!conversation?.logsHooks) addPlatformLine(agent, instance, `FC ${NAMES[kind]} ${text}`);
  };
  addLine(`Start RequestId: ${requestId}`);
  instance.hooks.running = {
    requestId,
    isEnding: false,
    end(ok, text) {
      addLine(`End RequestId: ${requestId}${ok ? '' : `, Error: ${text}`}`);
      then(ok, text);
    },
  };
  const deadlineTimeMs = agent.clock.now() + hookTimeoutMsOf(hook);
  conversation?.hook({ seq: nextCallSeq(instance), kind, handler: hook.handler, requestId, deadlineTimeMs });
}

/** Ends the hook that runs, once what it wrote before has been read: answer and output come by different pipes. */
export function endHook(agent: Agent, instance: Instance, seq: number, ok: boolean, text: string): void {
  const { running } = instance.hooks;
  if (!running || running.isEnding || seq !== instance.work.callSeq) return;
  running.isEnding = true;
  agent.outputReader.whenRead(instance, () => {
    if (instance.hooks.running !== running) return; // its time was over meanwhile
    instance.hooks.running = undefined;
    running.end(ok, text);
  });
}

/** Stops waiting for a hook that still runs, and notes why in its log. */
export function abandonHook(agent: Agent, instance: Instance, why: string): void {
  const running: RunningHook | undefined = instance.hooks.running;
  if (!running) return;
  instance.hooks.running = undefined;
  if (instance.runtime.conversation?.logsHooks) return;
  addPlatformLine(agent, instance, `FC PreStop End RequestId: ${running.requestId}, Error: ${why}`);
}

/** How long the PreStop hook of a function may run; 0 without one. */
export function preStopTimeoutMs({ preStop }: FunctionMessage): number {
  return preStop && preStop.handler !== '' ? hookTimeoutMsOf(preStop) : 0;
}
