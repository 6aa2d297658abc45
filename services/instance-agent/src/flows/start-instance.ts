// Writes `pulledMs` and `spawnMs` of the start of an instance, and all of its runtime but `handlers`.
import type { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal } from '@evenfall/errors';
import { initTimeoutMsOf } from '@evenfall/function-model';
import type { StartFault } from '../domain/instance-life.ts';
import type { Conversation, InstanceNetwork, ProcessEvents, ProcessSpec } from '../ports.ts';
import type { Agent } from './agent.ts';
import { collectOutput } from './collect-output.ts';
import { newInstance } from './instance.ts';
import { failStart, isStarting } from './load-function.ts';
import { runtimeEvents } from './receive-runtime-events.ts';
import type { Instance } from './types.ts';

/** Starts an instance: code, network, process, runtime. Never fails: what goes wrong is reported as its end. */
export async function startInstance(agent: Agent, request: StartInstance): Promise<void> {
  if (!request.function || agent.instances.has(request.instanceId)) return;
  const instance = newInstance(request, request.function, agent.clock.monotonic());
  agent.instances.set(instance.id, instance);
  agent.deadlines.set(instance, instance.start.requestMs + initTimeoutMsOf(instance.fn));
  try {
    await openInstance(agent, instance);
  } catch (error) {
    agent.log.error('An instance could not be started', error, { instance: instance.id, function: instance.fn.name });
    const message = error instanceof Error ? error.message : String(error);
    const codeMissing = isRefusal(error) && error.reason === 'CODE_PACKAGE_NOT_FOUND';
    failStart(agent, instance, { statusCode: 500, message: `The instance could not be started: ${message}`, codeMissing });
  }
}

async function openInstance(agent: Agent, instance: Instance): Promise<void> {
  const { id, fn, timeoutMs, packageGrant } = instance;
  const { folder, pulledMs } = await agent.code.folderOf(fn.codeSha256, { instanceId: id, grant: packageGrant });
  instance.start.pulledMs = pulledMs;
  if (!isStarting(instance)) return;
  const network = await agent.networks.open();
  if ('statusCode' in network) {
    failStart(agent, instance, network);
    return;
  }
  if (!isStarting(instance)) {
    network.close();
    return;
  }
  instance.runtime.network = network;
  const spec = { instanceId: id, fn, codeDir: folder, timeoutMs, initTimeoutMs: initTimeoutMsOf(fn), network };
  const conversation = await agent.conversations.open(spec, runtimeEvents(agent, instance));
  if (isStarting(instance)) await startProcess(agent, instance, conversation, network, folder);
  else conversation.close();
}

/** Claims a process that was started ahead, if there is one that fits; else starts one. */
async function startProcess(
  agent: Agent,
  instance: Instance,
  conversation: Conversation,
  network: InstanceNetwork,
  codeDir: string,
): Promise<void> {
  const { runtime } = instance;
  runtime.conversation = conversation;
  instance.start.spawnMs = agent.clock.monotonic();
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
    runtime.network = claimed.network;
  }
  const started = claimed?.process ?? agent.driver.start(spec, events);
  if ('statusCode' in started) {
    failStart(agent, instance, started);
    return;
  }
  runtime.process = started;
  conversation.greet(started.write, started.uid);
  claimed?.begin();
}

function onExit(agent: Agent, instance: Instance, exitCode: number | null, signal: string | null, spawnFault: string | undefined): void {
  const { runtime, start } = instance;
  runtime.exit = { exitCode, signal, byPlatform: instance.life.kind === 'KILLING' && signal === 'SIGKILL' };
  const isPackage = runtime.conversation?.ofPackage === true;
  const isLoading = runtime.process !== undefined && start.greetMs > 0 && !start.isLoaded;
  if (spawnFault !== undefined) failStart(agent, instance, { statusCode: 445, message: `The runtime could not be started: ${spawnFault}` });
  else if (isStarting(instance) && (isPackage || isLoading)) failStart(agent, instance, exitBeforeReady(exitCode, signal, isPackage));
  const excess = runtime.process?.excess();
  if (excess) agent.feed(instance, { kind: 'KILL_ORDERED', end: { kind: 'OUT_OF_MEMORY', ...excess } });
  const mayOutlive = instance.life.kind === 'TERMINATING' || instance.life.kind === 'EXITING';
  const groupLeft = mayOutlive && runtime.process?.isGroupLeft() === true;
  agent.feed(instance, { kind: 'LEADER_EXITED', exitCode, signal, groupLeft });
}

function exitBeforeReady(exitCode: number | null, signal: string | null, isPackage: boolean): StartFault {
  const how = signal === null ? `exited with code ${exitCode ?? 0}` : `died of ${signal}`;
  const what = isPackage ? 'The program of the code package' : 'The process of the function';
  return { statusCode: 443, message: `${what} ${how} before it was ${isPackage ? 'ready' : 'loaded'}` };
}
