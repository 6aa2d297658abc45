import type { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { isRefusal } from '@evenfall/errors';
import { msOfDuration } from '@evenfall/time';
import type { StartFault } from '../domain/instance-life.ts';
import { lineSplitter } from '../domain/line-splitter.ts';
import type { Conversation, ConversationEvents, InstanceNetwork, ProcessEvents, ProcessSpec } from '../ports.ts';
import { type Agent, type Attempt, type Instance, NO_GRANT } from './agent.ts';
import { collectOutput } from './collect-output.ts';
import { extendGrace } from './extend-grace.ts';
import { onTaken } from './run-attempt.ts';
import { endHook, preStopTimeoutMs, runInitializer } from './run-hooks.ts';

const DEFAULT_INIT_TIMEOUT_MS = 65_000;
const DEFAULT_TIMEOUT_MS = 3_000;

/** Starts an instance: code, process, runtime, function, Initializer. Never fails: what goes wrong is reported as its end. */
export async function startInstance(agent: Agent, request: StartInstance): Promise<void> {
  if (!request.function || agent.instances.has(request.instanceId)) return;
  const instance = newInstance(request, request.function, agent.clock.monotonic());
  agent.instances.set(instance.id, instance);
  agent.deadlines.set(instance, instance.startMs + initTimeoutOf(instance.fn));
  try {
    const { folder, pulledMs } = await agent.code.folderOf(instance.fn.codeSha256, {
      instanceId: instance.id,
      grant: instance.packageGrant,
    });
    instance.pulledMs = pulledMs;
    if (instance.life.kind !== 'STARTING') return;
    const network = await agent.networks.open();
    if ('statusCode' in network) {
      fail(agent, instance, network);
      return;
    }
    if (!isStarting(instance)) {
      network.close();
      return;
    }
    instance.network = network;
    const { id, fn, timeoutMs } = instance;
    const spec = { instanceId: id, fn, codeDir: folder, timeoutMs, initTimeoutMs: initTimeoutOf(fn), network };
    const conversation = await agent.conversations.open(spec, listenTo(agent, instance));
    if (isStarting(instance)) await startProcess(agent, instance, conversation, network, folder);
    else conversation.close();
  } catch (error) {
    agent.log.error('An instance could not be started', error, { instance: instance.id, function: instance.fn.name });
    const message = error instanceof Error ? error.message : String(error);
    const codeMissing = isRefusal(error) && error.reason === 'CODE_PACKAGE_NOT_FOUND';
    fail(agent, instance, { statusCode: 500, message: `The instance could not be started: ${message}`, codeMissing });
  }
}

/** Takes a process that was started ahead, if there is one that fits; else starts one. */
async function startProcess(
  agent: Agent,
  instance: Instance,
  conversation: Conversation,
  network: InstanceNetwork,
  codeDir: string,
): Promise<void> {
  instance.conversation = conversation;
  instance.spawnMs = agent.clock.monotonic();
  const spec: ProcessSpec = { instanceId: instance.id, fn: instance.fn, codeDir, variables: conversation.variables, network };
  const events: ProcessEvents = {
    onChannel: (chunk) => conversation.onChannel(chunk),
    onOutput: (stream, chunk) => collectOutput(agent, instance, stream, chunk),
    onExit: (exitCode, signal, spawnFault) => onExit(agent, instance, exitCode, signal, spawnFault),
  };
  const claimed = await agent.ready.claim(spec, events);
  if (!isStarting(instance)) {
    conversation.close();
    await claimed?.end();
    return;
  }
  if (claimed) {
    network.close(); // it was born in another one
    instance.network = claimed.network;
  }
  const started = claimed?.process ?? agent.driver.start(spec, events);
  if ('statusCode' in started) {
    fail(agent, instance, started);
    return;
  }
  instance.process = started;
  conversation.greet(started.write, started.uid);
  claimed?.begin();
}

function onExit(agent: Agent, instance: Instance, exitCode: number | null, signal: string | null, spawnFault: string | undefined): void {
  instance.exit = { exitCode, signal, byPlatform: instance.life.kind === 'KILLING' && signal === 'SIGKILL' };
  const starting = instance.life.kind === 'STARTING';
  const isPackage = instance.conversation?.ofPackage === true;
  if (spawnFault !== undefined) fail(agent, instance, { statusCode: 445, message: `The runtime could not be started: ${spawnFault}` });
  else if (starting && (isPackage || (instance.process && instance.helloMs > 0 && !instance.loaded)))
    fail(agent, instance, exitBeforeReady(exitCode, signal, isPackage));
  const excess = instance.process?.excess();
  if (excess) agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'OUT_OF_MEMORY', ...excess } });
  const mayOutlive = instance.life.kind === 'TERMINATING' || instance.life.kind === 'EXITING';
  agent.feed(instance, { kind: 'LEADER_EXITED', exitCode, signal, groupLeft: mayOutlive && instance.process?.isGroupLeft() === true });
}

function exitBeforeReady(exitCode: number | null, signal: string | null, isPackage: boolean): StartFault {
  const how = signal === null ? `exited with code ${exitCode ?? 0}` : `died of ${signal}`;
  const what = isPackage ? 'The program of the code package' : 'The process of the function';
  return { statusCode: 443, message: `${what} ${how} before it was ${isPackage ? 'ready' : 'loaded'}` };
}

function listenTo(agent: Agent, instance: Instance): ConversationEvents {
  return {
    onGreeted(handlersKnown) {
      instance.helloMs = agent.clock.monotonic();
      if (handlersKnown) instance.handlers = 0; // it tells of every change from here on
      instance.conversation?.load();
    },
    onLoaded: () => onLoaded(agent, instance),
    onLoadFailed: (fault) => fail(agent, instance, fault),
    onAnswered: (seq, body, tookMs) => onAnswer(agent, instance, seq, { returned: true, statusCode: 200, body }, tookMs, false),
    onFailed: (seq, { statusCode, error, tookMs, mustExit }) =>
      onAnswer(agent, instance, seq, { returned: false, statusCode, body: error }, tookMs, mustExit),
    onTaken: (seq) => onTaken(agent, instance, seq),
    onFree() {
      instance.isFree = true;
      if (instance.life.kind === 'SETTLING') agent.feed(instance, { kind: 'FREE' });
    },
    onFinished: () => agent.feed(instance, { kind: 'FINISHED' }),
    onHandlers: (signals) => void (instance.handlers = signals),
    onHookEnded: (seq, ok, text) => {
      if (seq === instance.seq) endHook(agent, instance, ok, text);
    },
    onExtensionAsked: (ms) => extendGrace(agent, instance, ms),
    onBroken(text) {
      const { namespace, name } = instance.fn;
      const count = agent.broken.note(`${namespace}/${name}`);
      if (count !== undefined)
        agent.log.warn('The runtime of an instance cannot be talked to', {
          instance: instance.id,
          function: `${namespace}/${name}`,
          reason: text,
          count,
        });
      if (instance.life.kind === 'STARTING')
        fail(agent, instance, { statusCode: 443, message: `The function could not be loaded: ${text}` });
      else agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'BROKEN', reason: text } });
    },
  };
}

function onLoaded(agent: Agent, instance: Instance): void {
  if (instance.life.kind !== 'STARTING' || instance.loaded) return;
  instance.loaded = true;
  runInitializer(agent, instance, (fault) => {
    if (fault) return fail(agent, instance, fault);
    instance.coldStart = {
      pullCodeMs: instance.pulledMs,
      initRuntimeMs: instance.helloMs - instance.spawnMs,
      initFunctionMs: agent.clock.monotonic() - instance.helloMs,
    };
    agent.feed(instance, { kind: 'LOADED' });
  });
}

/** Takes what the function answered. Only the event that runs can be answered, once. */
function onAnswer(
  agent: Agent,
  instance: Instance,
  seq: number,
  answer: NonNullable<Attempt['answer']>,
  tookMs: number,
  mustExit: boolean,
): void {
  const attempt = instance.current;
  if (!attempt || attempt.answer || seq !== instance.seq) return;
  if (!isRunning(instance)) return;
  if (attempt.phase === 'WAITING') return; // it answers what it has not taken
  // By the function's own clock, so that a busy agent does not count; never more than has passed here.
  const nowMs = agent.clock.monotonic();
  attempt.tookMs = Math.min(tookMs, nowMs - attempt.startMs);
  attempt.answer = answer;
  attempt.answerTimeMs = agent.clock.now();
  attempt.answerMs = nowMs;
  // A failed asynchronous event taints its instance; a synchronous caller's may go on.
  const mustRetire = mustExit || (!answer.returned && !attempt.synchronous);
  agent.feed(instance, mustRetire ? { kind: 'ANSWERED', nowMs, retireHookMs: preStopTimeoutMs(instance.fn) } : { kind: 'ANSWERED', nowMs });
  if (instance.life.kind === 'ANSWERED' || instance.life.kind === 'FAILED') agent.concluder.await(instance);
}

/** Whether an answer still counts: SIGKILL may be out already. After an exit it does: it was written before it. */
function isRunning(instance: Instance): boolean {
  const { life } = instance;
  if (life.kind === 'SWEEPING') return life.ending.kind === 'EXITED' || life.ending.kind === 'DIED_OF';
  return life.kind === 'BUSY' || life.kind === 'TERMINATING';
}

function initTimeoutOf(fn: FunctionMessage): number {
  return msOfDuration(fn.initTimeout) ?? DEFAULT_INIT_TIMEOUT_MS;
}

/** In a function of its own, because it may have changed behind an await. */
function isStarting(instance: Instance): boolean {
  return instance.life.kind === 'STARTING';
}

/** What the one deadline of an instance means depends on its life; of a start that took too long, its runtime may know more. */
export function onDue(agent: Agent, instance: Instance, nowMs: number): void {
  const fault = instance.loaded ? undefined : instance.conversation?.lateFault;
  if (fault && isStarting(instance)) fail(agent, instance, fault);
  else agent.feed(instance, { kind: 'DUE', nowMs });
}

function fail(agent: Agent, instance: Instance, fault: StartFault): void {
  agent.feed(instance, { kind: 'START_FAILED', fault });
}

function newInstance({ instanceId, ahead, grant, packageGrant }: StartInstance, fn: FunctionMessage, nowMs: number): Instance {
  return {
    id: instanceId,
    ahead,
    grant,
    packageGrant: packageGrant ?? NO_GRANT,
    fn,
    timeoutMs: msOfDuration(fn.timeout) ?? DEFAULT_TIMEOUT_MS,
    life: { kind: 'STARTING' },
    ready: false,
    process: undefined,
    conversation: undefined,
    network: undefined,
    loaded: false,
    current: undefined,
    failed: undefined,
    isFree: true,
    isToldBusy: false,
    exit: undefined,
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
    hook: undefined,
    preStopMs: undefined,
    onSettled: undefined,
    splitters: { stdout: lineSplitter(), stderr: lineSplitter() },
    idleLines: [],
    answeredTurn: 0,
    outputTurn: -1,
    peakBytes: 0,
    memoryReadMs: Number.NEGATIVE_INFINITY,
    sweptCount: 0,
    isHeapFull: false,
    extension: undefined,
  };
}
