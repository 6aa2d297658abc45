import type {
  AttachResponse,
  Hello,
  InstanceChange,
  InstanceReport,
  SchedulerServiceService,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { ClientOf, TlsFiles } from '@evenfall/rpc';
import { countable, createRepeats, type Log, observable } from '@evenfall/telemetry';
import { msOfDuration, newUuidV7, systemClock } from '@evenfall/time';
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
import { type LauncherWatch, processDriver } from './adapters/process/process-driver.ts';
import { startLeaseThread } from './loops/lease-thread.ts';
import type { Ability } from './domain/ability.ts';
import { type Agent, type Attempt, type Instance, keyOf, type Outbox } from './flows/agent.ts';
import { showOpenLines } from './flows/collect-output.ts';
import { drainHost, tendDrain } from './flows/drain-host.ts';
import { feed, stopWhenIdle } from './flows/drive-instance.ts';
import { endAttempt } from './flows/end-attempt.ts';
import { assign, reportAgain } from './flows/run-attempt.ts';
import { onSettled } from './flows/run-hooks.ts';
import { startInstance } from './flows/start-instance.ts';
import { stopAttempt } from './flows/stop-attempt.ts';
import { takeDue } from './flows/handle-deadline.ts';
import { attachment } from './loops/attach.ts';
import { startConcluder } from './loops/conclude.ts';
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
  /** Made once and kept in the data folder if it is not given. */
  readonly agentId?: string | undefined;
  /** Megabytes of log lines kept on disk while the event-store is away. Default 256. */
  readonly logSpoolMb?: number | undefined;
  /** Three quarters of the host's memory if it is not given. */
  readonly capacityMb?: number | undefined;
  /** Two per core if it is not given. */
  readonly parallelStarts?: number | undefined;
  /** How instances are kept apart, their networks and addresses, and the user ids they may have; as in `config.ts`. */
  readonly sandbox?: Sandbox | undefined;
  /** Where the platform listens: beyond loopback no function runs without walls unless `sandbox` says so. */
  readonly host?: string | undefined;
  readonly network?: NetworkSetting | undefined;
  readonly subnet?: string | undefined;
  readonly networkAllow?: readonly string[] | undefined;
  readonly uids?: string | undefined;
  /** Megabytes of unpacked packages that are kept. Default 4096. */
  readonly codeCacheMb?: number | undefined;
  /** The python3 to use; looked up in the search path if it is not given. */
  readonly pythonPath?: string | undefined;
  /** Where interpreters are looked for, as in PATH. */
  readonly searchPath?: string | undefined;
  /** How long what runs may go on when the agent is stopped, or drained without a word about it; 25 s if it is not given. 0 kills at once. */
  readonly drainDeadlineMs?: number | undefined;
  /** Where the scheduler is asked by a thread that renews the lease while this one is too busy; without it only the stream renews it. */
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
  /** Whether the scheduler knows of it now. */
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
const LOST = { kind: 'LOST' } as const;
/** How often it is said of one function that its runtimes cannot be talked to. */
const BROKEN_SILENCE_MS = 60_000;

/** Starts the agent of this host: kills what an earlier session left, attaches to the scheduler, and runs what it is given until stopped. */
export async function startInstanceAgent(ports: InstanceAgentPorts, settings: InstanceAgentSettings): Promise<RunningInstanceAgent> {
  const { log } = ports;
  const capacityMb = settings.capacityMb ?? defaultCapacityMb();
  const parallelStarts = settings.parallelStarts ?? availableParallelism() * 2;
  const drainDeadlineMs = settings.drainDeadlineMs ?? DRAIN_DEADLINE_MS;
  await mkdir(resolve(settings.dataDir), { recursive: true });
  const dataDir = await realpath(settings.dataDir); // mounts know no links
  const agentId = settings.agentId ?? (await keptId(join(dataDir, 'agent-id')));
  const interpreters = findInterpreters(settings.searchPath ?? DEFAULT_SEARCH_PATH, settings.pythonPath);
  const closed = closeInherited();
  if (closed > 0)
    log.warn('Descriptors that whoever started this had left open were closed: functions would have had them too', { count: closed });
  const perKind = settings.ready ?? DEFAULT_READY;
  const sessionId = newUuidV7();
  const thread = settings.scheduler && startLeaseThread({ ...settings.scheduler, agentId, sessionId }, log);
  const { driver, networks, release } = await openDriver(agentId, dataDir, interpreters, settings, log, thread);
  const strays = await driver.sweepEarlierSessions();
  if (strays > 0) log.warn('Processes of an earlier session were killed', { count: strays });
  const mayBeReady = await driver.prepareReady(perKind);

  const instances = new Map<string, Instance>();
  const attempts: Agent['attempts'] = new Map();
  const hello = (): Hello => ({
    agentId,
    sessionId,
    capacityMb,
    parallelStarts,
    instances: [...instances.values()].map(reportOf),
    abilities: [...driver.abilities],
    recalls: true,
    held: [...attempts.values()].map(({ eventId, number, partition, grant }) => ({ eventId, attempt: number, partition, grant })),
  });
  const attached = attachment(ports.scheduler, systemClock, log, Math.random, {
    sharesProcess: settings.sharesProcess ?? false,
    thread,
    hello,
    drainLeftMs: () => agent.drain && agent.drain.deadlineMs - systemClock.monotonic(),
    repeat: (outbox) => repeat(agent, outbox),
    receive: (response) => receive(agent, response, drainDeadlineMs || DRAIN_DEADLINE_MS, (attempt) => spool.forgotten(attempt)),
    leaseLost: () => loseAll(agent),
  });
  const pool = keepReady({
    perKind: mayBeReady ? perKind : 0,
    capacityMb,
    now: () => systemClock.monotonic(),
    onFault: (error) => log.error('A process could not be kept ready', error),
  });
  const counters = countable('instance_agent', {
    log_lines_stored_total: { doc: 'Log lines that the event-store has stored.', kind: 'counter' },
    log_lines_dropped_total: { doc: 'Log lines lost because the event-store was away for too long.', kind: 'counter' },
  });
  const inPhase = (...phases: string[]): number => {
    let count = 0;
    for (const { phase } of attempts.values()) if (phases.includes(phase)) count++;
    return count;
  };
  observable('instance_agent', {
    instances: { doc: 'Instances on this host.', kind: 'gauge', read: () => instances.size },
    attempts_running: {
      doc: 'Attempts that run, or whose last lines are being stored.',
      kind: 'gauge',
      read: () => inPhase('RUNNING', 'REPORTING'),
    },
    outcomes_spooled: {
      doc: 'Results of attempts that are retained on disk too.',
      kind: 'gauge',
      read: () => [...attempts.values()].reduce((count, { spooled }) => count + (spooled ? 1 : 0), 0),
    },
    ready_processes: {
      doc: 'Prewarmed processes: their runtime is loaded, and they wait for an instance.',
      kind: 'gauge',
      read: () => pool.counts.ready,
    },
    starts_from_ready_total: {
      doc: 'Instances that used a prewarmed process instead of starting one.',
      kind: 'counter',
      read: () => pool.counts.claimed,
    },
    user_ids_lost: {
      doc: 'User ids that are not used again: a process of their last instance may be left.',
      kind: 'gauge',
      read: () => driver.lostUserIds(),
    },
    outcomes_retained: {
      doc: 'Results of attempts that are retained until the queue has acknowledged them.',
      kind: 'gauge',
      read: () => inPhase('ENDED'),
    },
  });
  const logSpool = openLogSpool(join(dataDir, 'log-spool'), (settings.logSpoolMb ?? DEFAULT_LOG_SPOOL_MB) * 1024 * 1024);
  const logs = shipLogs({ eventStore: ports.eventStore, agentId, spool: logSpool, clock: systemClock, log, counters });
  const deadlines = watchDeadlines(systemClock, (instance, nowMs) => takeDue(agent, instance, nowMs));
  const concluder = startConcluder((instance) => onSettled(agent, instance), attached.flush);
  const code = codeStore(ports.registry, {
    agentId,
    root: join(dataDir, 'code'),
    temporaryRoot: join(dataDir, 'tmp'),
    maxBytes: (settings.codeCacheMb ?? DEFAULT_CODE_CACHE_MB) * 1024 * 1024,
    inUse: () => new Set([...instances.values()].map(({ fn }) => fn.codeSha256)),
  });
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
    concluder,
    feed: (instance, input) => feed(agent, instance, input),
    instances,
    attempts,
    broken: createRepeats(BROKEN_SILENCE_MS),
    drain: undefined,
  };

  const temporary = watchTemporary(agent);
  const tick = setInterval(() => {
    watchMemory(agent);
    agent.driver.shareProcessor(agent.clock.monotonic());
    temporary.round();
    showOpenLines(agent);
    attached.checkLease();
    tendDrain(agent);
    if (agent.drain) void pool.close();
    else pool.round(agent, temporary.heldMb());
  }, TICK_MS);
  const cpuLoad = createCpuLoad();
  const spool = spoolOutcomes(agent, outcomeSpool(join(dataDir, 'outcomes.spool')));
  const loadTick = setInterval(() => {
    attached.tellLoad(cpuLoad(), temporary.heldMb());
    spool.round();
  }, LOAD_TICK_MS);
  const stopped = new AbortController();
  const attaching = attached.run(stopped.signal);
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const emptied = pool.close();
    const running = inPhase('RUNNING');
    if (running > 0 && drainDeadlineMs > 0)
      log.warn('Waiting for running attempts to end before stopping', { attempts: running, at_most_ms: drainDeadlineMs });
    drainHost(agent, drainDeadlineMs);
    await untilSo(
      () => instances.size === 0,
      () => (agent.drain?.deadlineMs ?? 0) + STOP_WITHIN_MS,
    );
    await emptied;
    await logs.stop();
    attached.flush();
    await new Promise((resolve) => setImmediate(resolve)); // the last batch leaves before its stream is cut
    // Where everything stops at once nobody is left to acknowledge: the outcomes are said at the next start.
    if (drainDeadlineMs > 0) await untilSo(() => attempts.size === 0 || !attached.isAttached(), within(LAST_ACKS_MS));
    spool.round(true); // what nobody took is told at the next start
    clearInterval(tick);
    clearInterval(loadTick);
    deadlines.stop();
    stopped.abort();
    await attaching;
    driver.close();
    await thread?.close();
    await release();
  };
  return {
    agentId,
    abilities: driver.abilities,
    isAttached: attached.isAttached,
    readyCounts: () => pool.counts,
    stop: () => (stopping ??= stop()),
    force: () => drainHost(agent, 0),
  };
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
  const onUserLost = (uid: number): void =>
    log.error('A process of a function could not be ended; its user id is not given away again', { uid });
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

/** Does what a batch asks for: instances first, since its assignments may name them. Hot. */
function receive(agent: Agent, response: AttachResponse, drainDeadlineMs: number, onForgotten: (attempt: Attempt) => void): void {
  if (response.drain) drainHost(agent, msOfDuration(response.drain.deadline) ?? drainDeadlineMs);
  for (const key of response.acks) {
    const name = keyOf(key.eventId, key.attempt);
    const attempt = agent.attempts.get(name);
    if (attempt?.phase !== 'ENDED') continue;
    agent.attempts.delete(name);
    onForgotten(attempt);
  }
  for (const request of response.startInstances) {
    if (agent.drain) agent.outbox.change(goneOf(request.instanceId, false, 'the host drains'));
    else void startInstance(agent, request);
  }
  for (const assignment of response.assignments) assign(agent, assignment);
  for (const stop of response.stops) stopAttempt(agent, stop);
  for (const { instanceId, cause } of response.stopInstances) {
    const instance = agent.instances.get(instanceId);
    if (instance) stopWhenIdle(agent, instance, cause);
    else agent.outbox.change(goneOf(instanceId, false, 'unknown'));
  }
}

function goneOf(instanceId: string, startFailed: boolean, reason: string): InstanceChange {
  return { instanceId, change: { $case: 'gone', value: { startFailed, reason } } };
}

/** An instance as a hello says it. */
function reportOf(instance: Instance): InstanceReport {
  const { id, fn, life, grant } = instance;
  const current = instance.current ?? instance.failed;
  const busy = life.kind === 'SETTLING';
  if (busy) instance.isToldBusy = true;
  return {
    instanceId: id,
    function: fn,
    attempt: current && { eventId: current.eventId, attempt: current.number, partition: undefined },
    busy,
    grant,
  };
}

/** Says everything again that a scheduler may have missed. */
function repeat(agent: Agent, outbox: Outbox): void {
  for (const instance of agent.instances.values()) {
    if (instance.ready && instance.life.kind !== 'SETTLING')
      outbox.change({ instanceId: instance.id, change: { $case: 'ready', value: { startMs: 0 } } });
  }
  for (const attempt of agent.attempts.values()) reportAgain(agent, attempt);
}

/** Ends every attempt: somebody else may run them from now on. */
function loseAll(agent: Agent): void {
  for (const instance of [...agent.instances.values()]) {
    for (const waiting of instance.waiting.splice(0)) endAttempt(agent, waiting, LOST);
    if (instance.current ?? instance.failed) feed(agent, instance, { kind: 'KILL_ORDERED', ending: LOST });
  }
}

/** Waits until something is so, or until a time that may still change. */
async function untilSo(claim: () => boolean, untilMs: () => number): Promise<void> {
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
