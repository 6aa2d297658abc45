// Writes `greetMs`, `isLoaded` and `coldStart` of the start of an instance.
import type { StartFault } from '../domain/instance-life.ts';
import type { Agent } from './agent.ts';
import { runInitializer } from './run-hooks.ts';
import type { Instance } from './types.ts';

/** The runtime of an instance has greeted: it loads the function. */
export function onGreeted(agent: Agent, { start, runtime }: Instance): void {
  start.greetMs = agent.clock.monotonic();
  runtime.conversation?.load();
}

/** The function is loaded: its Initializer runs, and then the instance is ready. */
export function onLoaded(agent: Agent, instance: Instance): void {
  const { start } = instance;
  if (instance.life.kind !== 'STARTING' || start.isLoaded) return;
  start.isLoaded = true;
  runInitializer(agent, instance, (fault) => {
    if (fault) return failStart(agent, instance, fault);
    start.coldStart = {
      pullCodeMs: start.pulledMs,
      initRuntimeMs: start.greetMs - start.spawnMs,
      initFunctionMs: agent.clock.monotonic() - start.greetMs,
    };
    agent.feed(instance, { kind: 'LOADED' });
  });
}

/** Ends an instance that cannot start. */
export function failStart(agent: Agent, instance: Instance, fault: StartFault): void {
  agent.feed(instance, { kind: 'START_FAILED', fault });
}

/** Whether an instance still starts. Call it after an await: its life may have changed behind it. */
export function isStarting(instance: Instance): boolean {
  return instance.life.kind === 'STARTING';
}
