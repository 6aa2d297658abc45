import type { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { msOfDuration } from '@evenfall/time';
import { staticContextOf } from '../domain/context.ts';
import { encodeFrame, encodeHook, Frame } from '../domain/frames.ts';
import type { StartFault } from '../domain/instance-life.ts';
import { lineSplitter } from '../domain/line-splitter.ts';
import type { Agent, Instance } from './agent.ts';
import { addPlatformLine, collectOutput } from './collect-output.ts';
import { takeExtendFrame } from './extend-grace.ts';

const DEFAULT_INIT_TIMEOUT_MS = 65_000;
const DEFAULT_TIMEOUT_MS = 3_000;
const DEFAULT_HOOK_TIMEOUT_MS = 3_000;

/** Starts an instance: code, process, runtime, function, Initializer. Never fails: what goes wrong is reported as its end. */
export async function startInstance(agent: Agent, request: StartInstance): Promise<void> {
  if (!request.function || agent.instances.has(request.instanceId)) return;
  const instance = newInstance(request.instanceId, request.function, agent.clock.monotonic());
  agent.instances.set(instance.id, instance);
  agent.deadlines.set(instance, instance.startMs + (msOfDuration(instance.fn.initTimeout) ?? DEFAULT_INIT_TIMEOUT_MS));
  try {
    const { folder, pulledMs } = await agent.code.folderOf(instance.fn.codeSha256);
    instance.pulledMs = pulledMs;
    if (instance.life.kind === 'STARTING') startProcess(agent, instance, folder);
  } catch (error) {
    agent.log.error('An instance could not be started', error, { instance: instance.id, function: instance.fn.name });
    const message = error instanceof Error ? error.message : String(error);
    fail(agent, instance, { statusCode: 500, message: `The instance could not be started: ${message}` });
  }
}

function startProcess(agent: Agent, instance: Instance, codeDir: string): void {
  instance.spawnMs = agent.clock.monotonic();
  instance.process = agent.driver.start(
    { instanceId: instance.id, fn: instance.fn, codeDir },
    {
      onFrame: (kind, body) => onFrame(agent, instance, kind, body),
      onOutput: (stream, chunk) => collectOutput(agent, instance, stream, chunk),
      onGarbage: () => {
        agent.log.warn('An instance wrote to the channel of its runtime', { instance: instance.id });
        agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'EXITED', exitCode: 0 } });
      },
      onExit: (exitCode, signal, spawnFault) => {
        if (spawnFault !== undefined)
          fail(agent, instance, { statusCode: 445, message: `The runtime could not be started: ${spawnFault}` });
        agent.feed(instance, { kind: 'LEADER_EXITED', exitCode, signal });
      },
    },
  );
  if (!instance.process) fail(agent, instance, { statusCode: 445, message: `This host has no runtime "${instance.fn.runtime}"` });
}

/** Frames of one instance, in order. RESULT comes first: it is the one that comes for every event. */
function onFrame(agent: Agent, instance: Instance, kind: number, body: Buffer): void {
  if (kind === Frame.RESULT) return onAnswer(agent, instance, body, 8, true, 200);
  switch (kind) {
    case Frame.FAILURE:
      return onAnswer(agent, instance, body, 10, false, body.length >= 10 ? body.readUInt16LE(8) : 500);
    case Frame.HANDLERS:
      instance.handlers = body.length >= 4 ? body.readInt32LE(0) : 0;
      return;
    case Frame.HELLO:
      instance.helloMs = agent.clock.monotonic();
      if (instance.fn.runtime === 'nodejs') instance.handlers = 0; // it tells of every change from here on
      return load(instance);
    case Frame.LOADED:
      return onLoaded(agent, instance);
    case Frame.LOAD_FAILED:
      return fail(agent, instance, {
        statusCode: body.readUInt16LE(0),
        message: 'The function could not be loaded',
        error: Buffer.from(body.subarray(2)),
      });
    case Frame.EXTEND:
      return takeExtendFrame(agent, instance, body);
    case Frame.HOOK_ENDED: {
      if (body.length < 5 || body.readUInt32LE(0) !== instance.seq) return;
      const onEnd = instance.onHookEnd;
      instance.onHookEnd = undefined;
      return onEnd?.(body[4] === 1, body.toString('utf8', 5));
    }
  }
}

/** Lets the runtime load the function once the process is contained, which went on while the runtime came up. */
function load(instance: Instance): void {
  const send = (): void => instance.process?.write(encodeFrame(Frame.LOAD, loadTermsOf(instance)));
  if (instance.process?.contained) void instance.process.contained.then(send);
  else send();
}

function loadTermsOf(instance: Instance): Buffer {
  return Buffer.from(JSON.stringify({ handler: instance.fn.handler, context: staticContextOf(instance.fn, instance.timeoutMs) }));
}

function onLoaded(agent: Agent, instance: Instance): void {
  const hook = instance.fn.initializer;
  const ready = (): void => {
    instance.coldStart = {
      pullCodeMs: instance.pulledMs,
      initRuntimeMs: instance.helloMs - instance.spawnMs,
      initFunctionMs: agent.clock.monotonic() - instance.helloMs,
    };
    agent.feed(instance, { kind: 'LOADED' });
  };
  if (!hook || hook.handler === '') return ready();
  const requestId = instance.waiting[0]?.eventId ?? instance.id;
  addPlatformLine(agent, instance, `FC Initialize Start RequestId: ${requestId}`);
  instance.onHookEnd = (ok, text) => {
    addPlatformLine(agent, instance, `FC Initialize End RequestId: ${requestId}${ok ? '' : `, Error: ${text}`}`);
    if (ok) ready();
    else fail(agent, instance, { statusCode: 450, message: `The Initializer failed: ${text}` });
  };
  agent.deadlines.set(instance, agent.clock.monotonic() + (msOfDuration(hook.timeout) ?? DEFAULT_HOOK_TIMEOUT_MS));
  instance.process?.write(encodeHook(++instance.seq, hook.handler));
}

/** Takes what the function answered. Only the event that runs can be answered, once. */
function onAnswer(agent: Agent, instance: Instance, body: Buffer, bodyStart: number, returned: boolean, statusCode: number): void {
  const attempt = instance.current;
  if (!attempt || attempt.answer || body.length < bodyStart || body.readUInt32LE(0) !== instance.seq) return;
  if (!isRunning(instance)) return;
  // By the function's own clock, so that a busy agent does not count; never more than has passed here.
  attempt.tookMs = Math.min(body.readUInt32LE(4) / 1000, agent.clock.monotonic() - attempt.startMs);
  attempt.answer = { returned, statusCode, body: body.subarray(bodyStart) };
  // A failed asynchronous event taints its instance; a synchronous caller's may go on.
  agent.feed(instance, { kind: 'ANSWERED', retire: !returned && !attempt.synchronous });
  if (instance.life.kind === 'ANSWERED') agent.concluder.await(instance);
}

/** Whether an answer still counts: SIGKILL may be out already. After an exit it does: it was written before it. */
function isRunning(instance: Instance): boolean {
  const { life } = instance;
  if (life.kind === 'SWEEPING') return life.ending.kind === 'EXITED' || life.ending.kind === 'DIED_OF';
  return life.kind === 'BUSY' || life.kind === 'TERMINATING';
}

function fail(agent: Agent, instance: Instance, fault: StartFault): void {
  agent.feed(instance, { kind: 'START_FAILED', fault });
}

function newInstance(id: string, fn: FunctionMessage, nowMs: number): Instance {
  return {
    id,
    fn,
    timeoutMs: msOfDuration(fn.timeout) ?? DEFAULT_TIMEOUT_MS,
    life: { kind: 'STARTING' },
    ready: false,
    process: undefined,
    current: undefined,
    waiting: [],
    seq: 0,
    dueMs: Number.POSITIVE_INFINITY,
    armedMs: Number.POSITIVE_INFINITY,
    startMs: nowMs,
    spawnMs: 0,
    helloMs: 0,
    pulledMs: 0,
    coldStart: undefined,
    handlers: undefined,
    onHookEnd: undefined,
    splitters: { stdout: lineSplitter(), stderr: lineSplitter() },
    idleLines: [],
    answeredTurn: 0,
    outputTurn: -1,
    peakBytes: 0,
    memoryReadMs: Number.NEGATIVE_INFINITY,
    sweptCount: 0,
    extension: undefined,
  };
}
