import type { Hello, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { ClientOf, TlsFiles } from '@evenfall/rpc';
import { countable, createRepeats, type Log } from '@evenfall/telemetry';
import { newUuidV7, systemClock } from '@evenfall/time';
import { outcomeSpool } from './adapters/spool/outcome-spool.ts';
import { codeStore } from './adapters/code/code-store.ts';
import { conversations } from './adapters/conversation/conversations.ts';
import { createCpuLoad } from './adapters/process/host-probe/cpu-load.ts';
import { findInterpreters, type Interpreters } from './adapters/process/launch/interpreters.ts';
import { openLogSpool } from './adapters/spool/log-spool.ts';
import { closeInherited } from './adapters/process/launch/close-inherited.ts';
import { claimBeside } from './adapters/process/isolation/claim-cgroups.ts';
import { defaultCapacityMb, examineHost } from './adapters/process/host-probe/examine-host.ts';
import type { NetworkSetting } from './adapters/network/choose-networks.ts';
import type { Sandbox } from './adapters/process/host-probe/choose-launch.ts';
import type { LauncherWatch } from './adapters/process/launch/driver-host.ts';
import { processDriver } from './adapters/process/process-driver.ts';
import { startLeaseThread } from './loops/lease-thread.ts';
import type { Ability } from './domain/ability.ts';
import type { Agent } from './flows/agent.ts';
import { showOpenLines } from './flows/collect-output.ts';
import { checkDrain, drainHost } from './flows/drain-host.ts';
import { feed } from './flows/drive-instance.ts';
import { handleDeadline } from './flows/handle-deadline.ts';
import { countAttempts, observeAgent } from './flows/observe.ts';
import { instanceReport, loseAll, receiveBatch, repeatAll } from './flows/receive-batch.ts';
import type { Instance } from './flows/types.ts';
import { attachment } from './loops/attach.ts';
import { readOutput } from './loops/read-output.ts';
import { watchDeadlines } from './loops/deadlines.ts';
import { keepReady } from './loops/keep-ready.ts';
import { shipLogs } from './loops/ship-logs.ts';
import { spoolOutcomes } from './loops/spool-outcomes.ts';
import { watchMemory } from './loops/watch-memory.ts';
import { watchTemporary } from './loops/watch-temporary.ts';
import type { Networks, ProcessDriver } from './ports.ts';

export type InstanceAgentPorts = {
  readonly scheduler: ClientOf<typeof SchedulerServiceService>;
  readonly registry: ClientOf<typeof RegistryServiceService>;
  readonly eventStore: ClientOf<typeof EventStoreServiceService>;
  readonly log: Log;
};

export type InstanceAgentSettings = {
  /** Folder of unpacked code, temporary folders and the agent's id. */
  readonly dataDir: string;
  /** Further folders that no function sees, where they exist: of the platform, with its access key and its database. */
  readonly hidden?: readonly string[] | undefined;
  /** Made once and kept in the data folder by default. */
  readonly agentId?: string | undefined;
  /** Megabytes of log lines kept on disk while the event-store is away. Default 256. */
  readonly logSpoolMb?: number | undefined;
  /** Three quarters of the host's memory by default. */
  readonly capacityMb?: number | undefined;
  /** Two per core by default. */
  readonly parallelStarts?: number | undefined;
  /** How instances are kept apart, their networks and addresses, and the user ids they may have; as in `config.ts`. */
  readonly sandbox?: Sandbox | undefined;
  /** Where the platform listens: beyond loopback no function runs without a sandbox unless `sandbox` is `none`. */
  readonly host?: string | undefined;
  readonly network?: NetworkSetting | undefined;
  readonly subnet?: string | undefined;
  readonly networkAllow?: readonly string[] | undefined;
  readonly uids?: string | undefined;
  /** Megabytes of unpacked packages that are kept. Default 4096. */
  readonly codeCacheMb?: number | undefined;
  /** The python3 to use; looked up in the search path by default. */
  readonly pythonPath?: string | undefined;
  /** Where interpreters are looked for, as in PATH. */
  readonly searchPath?: string | undefined;
  /** How long what runs may go on when the agent is stopped, or drained without a deadline; 25 s by default. 0 kills at once. */
  readonly drainDeadlineMs?: number | undefined;
  /** Where a thread renews the lease while this one is too busy; without it only the stream renews it. */
  readonly scheduler?:
    { readonly address: string; readonly headers: Readonly<Record<string, string>>; readonly tls?: TlsFiles | undefined } | undefined;
  /** Whether the scheduler is in this process. */
  readonly sharesProcess?: boolean | undefined;
  /** Processes kept ready for each runtime and memory size that was used lately. Default 1; 0 keeps none. */
  readonly ready?: number | undefined;
};

export type RunningInstanceAgent = {
  readonly agentId: string;
  /** What its host can do, as found when it started. */
  readonly abilities: readonly Ability[];
  /** Whether it is attached to the scheduler now. */
  isAttached(): boolean;
  /** Processes that wait for an instance to become, and how many have become one. */
  readyCounts(): { readonly ready: number; readonly claimed: number };
  /** Drains the host, and leaves nothing behind. */
  stop(): Promise<void>;
  /** Has a drain end now: what runs is killed. */
  force(): void;
};

const TICK_MS = 250;
const DEFAULT_READY = 1;
const DEFAULT_LOG_SPOOL_MB = 256;
const DEFAULT_CODE_CACHE_MB = 4096;
const LOAD_TICK_MS = 100;
const STOP_WITHIN_MS = 5_000;
const DRAIN_DEADLINE_MS = 25_000;
/** How long the last outcomes may take to be acknowledged. */
const LAST_ACKS_MS = 2_000;
const DEFAULT_SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin';
/** How often a line is logged for one function whose runtimes break the protocol. */
const BROKEN_SILENCE_MS = 60_000;

/** Starts the agent of this host: kills what an earlier session left, attaches to the scheduler, and runs what is assigned to it until stopped. */
export async function startInstanceAgent(ports: InstanceAgentPorts, settings: InstanceAgentSettings): Promise<RunningInstanceAgent> {
  const host = await prepareHost(ports.log, settings);
  const parts = assembleAgent(host, ports, settings);
  const endLoops = startLoops(parts);
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await drainAgent(parts);
    await endLoops();
    host.driver.close();
    await host.thread?.close();
    await host.release();
  };
  return {
    agentId: host.agentId,
    abilities: host.driver.abilities,
    isAttached: parts.attached.isAttached,
    readyCounts: () => parts.pool.counts,
    stop: () => (stopping ??= stop()),
    force: () => drainHost(parts.agent, 0),
  };
}

/** What the agent found and opened on its host before it attaches to the scheduler. */
type PreparedHost = {
  readonly agentId: string;
  readonly sessionId: string;
  readonly dataDir: string;
  readonly driver: ProcessDriver;
  readonly networks: Networks;
  readonly thread: ReturnType<typeof startLeaseThread> | undefined;
  /** Processes kept ready for each kind; 0 where the host cannot have them. */
  readonly readyPerKind: number;
  release(): Promise<void>;
};

async function prepareHost(log: Log, settings: InstanceAgentSettings): Promise<PreparedHost> {
  await mkdir(resolve(settings.dataDir), { recursive: true });
  const dataDir = await realpath(settings.dataDir); // mounts do not resolve symbolic links
  const agentId = settings.agentId ?? (await keptId(join(dataDir, 'agent-id')));
  const interpreters = findInterpreters(settings.searchPath ?? DEFAULT_SEARCH_PATH, settings.pythonPath);
  const closed = closeInherited();
  if (closed > 0)
    log.warn('Descriptors inherited from the parent process were closed: functions would have inherited them too', { count: closed });
  const perKind = settings.ready ?? DEFAULT_READY;
  const sessionId = newUuidV7();
  const thread = settings.scheduler && startLeaseThread({ ...settings.scheduler, agentId, sessionId }, log);
  const { driver, networks, release } = await openDriver(agentId, dataDir, interpreters, settings, log, thread);
  const strays = await driver.sweepEarlierSessions();
  if (strays > 0) log.warn('Processes of an earlier session were killed', { count: strays });
  const readyPerKind = (await driver.prepareReady(perKind)) ? perKind : 0;
  return { agentId, sessionId, dataDir, driver, networks, thread, readyPerKind, release };
}

/** The agent's state and what works on it. */
type AgentParts = {
  readonly agent: Agent;
  readonly attached: ReturnType<typeof attachment>;
  readonly pool: ReturnType<typeof keepReady>;
  readonly logs: ReturnType<typeof shipLogs>;
  readonly spool: ReturnType<typeof spoolOutcomes>;
  readonly deadlines: ReturnType<typeof watchDeadlines>;
  /** How long running attempts may go on when the agent is stopped; 0 kills at once. */
  readonly drainDeadlineMs: number;
};

function assembleAgent(host: PreparedHost, ports: InstanceAgentPorts, settings: InstanceAgentSettings): AgentParts {
  const { agentId, dataDir, driver, networks } = host;
  const { log } = ports;
  const capacityMb = settings.capacityMb ?? defaultCapacityMb();
  const drainDeadlineMs = settings.drainDeadlineMs ?? DRAIN_DEADLINE_MS;
  const instances = new Map<string, Instance>();
  const attempts: Agent['attempts'] = new Map();
  const parallelStarts = settings.parallelStarts ?? availableParallelism() * 2;
  const attached = attachment(ports.scheduler, systemClock, log, Math.random, {
    sharesProcess: settings.sharesProcess ?? false,
    thread: host.thread,
    hello: () => helloOf(agent, host.sessionId, capacityMb, parallelStarts),
    drainLeftMs: () => agent.drain && agent.drain.deadlineMs - systemClock.monotonic(),
    repeat: (outbox) => repeatAll(agent, outbox),
    receive: (response) => receiveBatch(agent, response, drainDeadlineMs || DRAIN_DEADLINE_MS, spool.onAcknowledged),
    leaseLost: () => loseAll(agent),
  });
  const pool = keepReady({
    perKind: host.readyPerKind,
    capacityMb,
    now: () => systemClock.monotonic(),
    onFault: (error) => log.error('A process could not be kept ready', error),
  });
  const logs = openLogs(host, ports, settings);
  const code = codeStore(ports.registry, {
    agentId,
    root: join(dataDir, 'code'),
    temporaryRoot: join(dataDir, 'tmp'),
    maxBytes: (settings.codeCacheMb ?? DEFAULT_CODE_CACHE_MB) * 1024 * 1024,
    inUse: () => new Set([...instances.values()].map(({ fn }) => fn.codeSha256)),
  });
  const deadlines = watchDeadlines(systemClock, (instance, nowMs) => handleDeadline(agent, instance, nowMs));
  const agent: Agent = {
    agentId,
    clock: systemClock,
    log,
    driver,
    code,
    conversations: conversations(),
    ready: pool,
    networks,
    outbox: attached,
    logs,
    deadlines,
    outputReader: readOutput(attached.flush),
    feed: (instance, input) => feed(agent, instance, input),
    instances,
    attempts,
    broken: createRepeats(BROKEN_SILENCE_MS),
    drain: undefined,
  };
  observeAgent(agent, () => pool.counts);
  const spool = spoolOutcomes(agent, outcomeSpool(join(dataDir, 'outcomes.spool')));
  return { agent, attached, pool, logs, spool, deadlines, drainDeadlineMs };
}

function openLogs({ agentId, dataDir }: PreparedHost, { eventStore, log }: InstanceAgentPorts, settings: InstanceAgentSettings) {
  const counters = countable('instance_agent', {
    log_lines_stored_total: { doc: 'Log lines that the event-store has stored.', kind: 'counter' },
    log_lines_dropped_total: { doc: 'Log lines lost because the event-store was away for too long.', kind: 'counter' },
  });
  const spool = openLogSpool(join(dataDir, 'log-spool'), (settings.logSpoolMb ?? DEFAULT_LOG_SPOOL_MB) * 1024 * 1024);
  return shipLogs({ eventStore, agentId, spool, clock: systemClock, log, counters });
}

/** What the agent reports to a scheduler when it attaches. */
function helloOf({ agentId, instances, driver, attempts }: Agent, sessionId: string, capacityMb: number, parallelStarts: number): Hello {
  return {
    agentId,
    sessionId,
    capacityMb,
    parallelStarts,
    instances: [...instances.values()].map(instanceReport),
    abilities: [...driver.abilities],
    recalls: true,
    held: [...attempts.values()].map(({ eventId, attempt, partition, grant }) => ({ eventId, attempt, partition, grant })),
  };
}

/** Starts the agent's periodic work and its stream to the scheduler; the returned function ends them. */
function startLoops({ agent, attached, pool, spool, deadlines }: AgentParts): () => Promise<void> {
  const temporary = watchTemporary(agent);
  const tick = setInterval(() => {
    watchMemory(agent);
    agent.driver.shareProcessor(agent.clock.monotonic());
    temporary.round();
    showOpenLines(agent);
    attached.checkLease();
    checkDrain(agent);
    if (agent.drain) void pool.close();
    else pool.round(agent, temporary.heldMb());
  }, TICK_MS);
  const cpuLoad = createCpuLoad();
  const loadTick = setInterval(() => {
    attached.reportLoad(cpuLoad(), temporary.heldMb());
    spool.round();
  }, LOAD_TICK_MS);
  const stopped = new AbortController();
  const attaching = attached.run(stopped.signal);
  return async () => {
    clearInterval(tick);
    clearInterval(loadTick);
    deadlines.stop();
    stopped.abort();
    await attaching;
  };
}

/** Waits until all instances have ended and, within limits, until the last outcomes are acknowledged. */
async function drainAgent({ agent, attached, pool, logs, spool, drainDeadlineMs }: AgentParts): Promise<void> {
  const emptied = pool.close();
  const running = countAttempts(agent, 'RUNNING');
  if (running > 0 && drainDeadlineMs > 0)
    agent.log.warn('Waiting for running attempts to end before stopping', { attempts: running, at_most_ms: drainDeadlineMs });
  drainHost(agent, drainDeadlineMs);
  await untilHolds(
    () => agent.instances.size === 0,
    () => (agent.drain?.deadlineMs ?? 0) + STOP_WITHIN_MS,
  );
  await emptied;
  await logs.stop();
  attached.flush();
  await new Promise((resolve) => setImmediate(resolve)); // the last batch leaves before its stream is cut
  // Where everything stops at once no scheduler is left to acknowledge: the outcomes are reported at the next start.
  if (drainDeadlineMs > 0) await untilHolds(() => agent.attempts.size === 0 || !attached.isAttached(), within(LAST_ACKS_MS));
  spool.round(true); // what was not acknowledged is reported at the next start
}

async function openDriver(
  agentId: string,
  dataDir: string,
  interpreters: Interpreters,
  settings: InstanceAgentSettings,
  log: Log,
  launchers: LauncherWatch | undefined,
): Promise<{ readonly driver: ProcessDriver; readonly networks: Networks; release(): Promise<void> }> {
  const examined = await examineHost(dataDir, interpreters, settings, (text, error) => log.error(text, error));
  const onUserLost = (uid: number): void => log.error('A process of a function could not be ended; its user id is not used again', { uid });
  const cgroups = await claimBeside(examined, agentId);
  const driver = processDriver({ agentId, cgroupName: cgroups.name, ...examined, launchers, onUserLost });
  for (const { name, available, detail } of driver.abilities) {
    if (!available && name === 'own-network') log.warn('Functions have no network of their own', { network: detail });
    if (!available && name === 'way-out') log.warn('Functions have no way out', { network: detail });
    if (name !== 'sandbox') continue;
    if (available) log.info('Functions are kept apart', { sandbox: detail });
    else log.warn('Functions can read the access key, and whatever else this user can', { sandbox: detail });
  }
  for (const note of examined.notes) log.warn(note);
  return { driver, networks: examined.networks, release: cgroups.release };
}

/** Waits until a condition holds, or until a time that may still change. */
async function untilHolds(claim: () => boolean, untilMs: () => number): Promise<void> {
  while (!claim() && systemClock.monotonic() < untilMs()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function within(ms: number): () => number {
  const untilMs = systemClock.monotonic() + ms;
  return () => untilMs;
}

async function keptId(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept.trim() !== '') return kept.trim();
  const made = newUuidV7();
  await writeFile(file, `${made}\n`);
  return made;
}
