import type { FunctionMessage, Hook } from '@evenfall/contracts/v1/function';
import { linesAfterRun, linesBeforeRun } from '@evenfall/event-model';
import { msOfDuration } from '@evenfall/time';
import type { StartFault } from '../domain/instance-life.ts';
import type { HookKind } from '../ports.ts';
import type { Agent, IdleLine, Instance, ProcessEnd } from './agent.ts';
import { addPlatformLine, STREAMS } from './collect-output.ts';

const DEFAULT_HOOK_TIMEOUT_MS = 3_000;
const WORDS: Readonly<Record<HookKind, string>> = { INITIALIZER: 'Initialize', PRE_STOP: 'PreStop' };

/** Runs the Initializer, if there is one; its lines and its id are those of the event that waits for the instance, if one does. */
export function runInitializer(agent: Agent, instance: Instance, done: (fault: StartFault | undefined) => void): void {
  const hook = instance.fn.initializer;
  if (!hook || hook.handler === '') return done(undefined);
  const requestId = instance.waiting[0]?.eventId ?? instance.id;
  agent.deadlines.set(instance, agent.clock.monotonic() + timeoutOf(hook));
  runHook(agent, instance, 'INITIALIZER', hook, requestId, (ok, text) =>
    done(ok ? undefined : { statusCode: 450, message: `The Initializer failed: ${text}` }),
  );
}

/** Runs the PreStop hook of an instance that has nothing else to do. It has an id of its own, the instance's, under which its lines are kept. */
export function runPreStop(agent: Agent, instance: Instance): void {
  const hook = instance.fn.preStop;
  if (!hook) return agent.feed(instance, { kind: 'HOOK_ENDED', nowMs: agent.clock.monotonic() });
  instance.preStopMs = agent.clock.monotonic();
  runHook(agent, instance, 'PRE_STOP', hook, instance.id, (ok, text) => {
    if (!ok) agent.log.warn('A PreStop hook failed', { instance: instance.id, function: instance.fn.name, error: text });
    agent.feed(instance, { kind: 'HOOK_ENDED', nowMs: agent.clock.monotonic() });
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
  const { conversation } = instance;
  const say = (text: string): void => {
    if (!conversation?.logsHooks) addPlatformLine(agent, instance, `FC ${WORDS[kind]} ${text}`);
  };
  say(`Start RequestId: ${requestId}`);
  instance.hook = {
    requestId,
    end(ok, text) {
      say(`End RequestId: ${requestId}${ok ? '' : `, Error: ${text}`}`);
      then(ok, text);
    },
  };
  const deadlineTimeMs = agent.clock.now() + timeoutOf(hook);
  conversation?.hook({ seq: ++instance.seq, kind, handler: hook.handler, requestId, deadlineTimeMs });
}

/** Ends the hook that runs, once what it wrote before has been read: answer and output come by different ways. */
export function endHook(agent: Agent, instance: Instance, ok: boolean, text: string): void {
  const { hook } = instance;
  if (!hook || instance.onSettled) return;
  instance.onSettled = () => {
    if (instance.hook !== hook) return; // its time was over meanwhile
    instance.hook = undefined;
    hook.end(ok, text);
  };
  agent.concluder.await(instance);
}

/** Notes of a hook that runs still that nobody waits for it any longer. */
export function breakOffHook(agent: Agent, instance: Instance, why: string): void {
  const { hook } = instance;
  if (!hook) return;
  instance.hook = undefined;
  if (!instance.conversation?.logsHooks) addPlatformLine(agent, instance, `FC PreStop End RequestId: ${hook.requestId}, Error: ${why}`);
}

/** What an instance wrote before has been read: ends its hook, or concludes its attempt. */
export function onSettled(agent: Agent, instance: Instance): void {
  const then = instance.onSettled;
  instance.onSettled = undefined;
  if (then) then();
  else agent.feed(instance, { kind: 'CONCLUDED', nowMs: agent.clock.monotonic(), isFree: instance.isFree });
}

/**
 * Keeps lines that belong to no event as the log of a call with the id of the instance, where they can be read: those of a PreStop hook, those
 * written after the last event's answer, and why an instance ended that ran nothing.
 */
export function endInstanceLog(agent: Agent, instance: Instance): void {
  const { id, life, fn, preStopMs, exit } = instance;
  if (life.kind !== 'GONE') return;
  breakOffHook(agent, instance, 'its process ended');
  const isOfNobody = instance.current === undefined && instance.ready;
  if (isOfNobody)
    for (const stream of ['stdout', 'stderr'] as const)
      instance.splitters[stream].flush((text, _, timeMs) => void instance.idleLines.push({ stream, text, timeMs }));
  const diedIdle = isOfNobody && (life.ending.kind === 'EXITED' || life.ending.kind === 'DIED_OF') && exit !== undefined;
  if (preStopMs === undefined && !(isOfNobody && (instance.idleLines.length > 0 || diedIdle))) return;
  if (diedIdle) addPlatformLine(agent, instance, `[PLATFORM] The instance ${howItEnded(exit)} while no event ran on it`);
  const [memoryMb, memoryBytes] = [fn.memoryMb, instance.peakBytes];
  const durationMs = agent.clock.monotonic() - (preStopMs ?? instance.startMs);
  const platform = (text: string): IdleLine => ({ stream: 'platform', text, timeMs: agent.clock.now() });
  const head = linesBeforeRun({ requestId: id, coldStart: undefined, isAhead: false, memoryMb, memoryBytes });
  const end = linesAfterRun({ requestId: id, memoryMb, memoryBytes, durationMs, result: Buffer.from('null'), error: Buffer.alloc(0) });
  const grant = { eventId: id, attempt: 1, partition: undefined, codeSha256: fn.codeSha256, grant: instance.packageGrant };
  [...head.map(({ text }) => platform(text)), ...instance.idleLines.splice(0), ...end.map(({ text }) => platform(text))].forEach(
    (line, index) => {
      const stored = { time: new Date(line.timeMs), stream: STREAMS[line.stream], attempt: 1, instanceId: id, text: line.text };
      agent.logs.push({ eventId: id, sequence: index + 1, line: stored }, grant);
    },
  );
}

/** How long the PreStop hook of a function may run; 0 without one. */
export function preStopTimeoutMs({ preStop }: FunctionMessage): number {
  return preStop && preStop.handler !== '' ? timeoutOf(preStop) : 0;
}

function howItEnded({ exitCode, signal }: ProcessEnd): string {
  return signal === null ? `exited with code ${exitCode ?? 0}` : `died of ${signal}`;
}

function timeoutOf(hook: Hook): number {
  return msOfDuration(hook.timeout) ?? DEFAULT_HOOK_TIMEOUT_MS;
}
