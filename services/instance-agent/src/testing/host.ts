import { Assignment, type AttemptResult, type AttemptReport, StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import { EventStoreServiceService, type StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import {
  type AttachRequest,
  AttachResponse,
  type InstanceChange,
  SchedulerServiceService,
  StartInstance,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { Termination_Cause as Cause, Termination_Mode as Mode, TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bind,
  grpcClient,
  type Implementation,
  inProcessClient,
  type Pushable,
  pushable,
  type ServiceDefinition,
  startGrpcServer,
} from '@evenfall/rpc';
import { createLog, type Log, silentLog } from '@evenfall/telemetry';
import { hostPid, patient } from '@evenfall/testkit';
import { durationOfMs, newUuidV7 } from '@evenfall/time';
import { ZipFile } from 'yazl';
import { readStat } from '../adapters/process/proc-fs.ts';
import { type InstanceAgentPorts, type InstanceAgentSettings, type RunningInstanceAgent, startInstanceAgent } from '../service.ts';

/** An agent whose peers are played by this test: what it reports is kept as facts, and tests wait for facts. */
export type Host = {
  readonly agent: RunningInstanceAgent;
  readonly agentId: string;
  readonly dataDir: string;
  readonly reports: AttemptReport[];
  readonly changes: InstanceChange[];
  readonly lines: StoredLogLine[];
  readonly hellos: AttachRequest[];
  readonly drains: AttachRequest[];
  /** Megabytes of temporary files, as last reported. */
  temporaryMb: number;
  /** Starts an instance of a function made of these files; returns its id. */
  start(fn: Partial<FunctionMessage>, files: Readonly<Record<string, string | Buffer>>, ahead?: boolean): Promise<string>;
  /** Starts one that has an event waiting from the first moment on: one that fails at once would otherwise be gone before it came. */
  startWith(
    fn: Partial<FunctionMessage>,
    files: Readonly<Record<string, string | Buffer>>,
  ): Promise<{ readonly instance: string; readonly eventId: string }>;
  /** Assigns an event to an instance; returns its id. */
  run(instanceId: string, payload?: unknown, more?: Partial<Assignment>): string;
  stop(eventId: string, mode: 'FORCE' | 'GRACEFUL', policy?: Partial<TerminationPolicy>): void;
  send(response: Partial<AttachResponse>): void;
  /** Waits for the end of an event. */
  ended(eventId: string, count?: number): Promise<AttemptResult>;
  ready(instanceId: string): Promise<void>;
  gone(instanceId: string): Promise<boolean>;
  /** Waits for a line of the event. */
  line(eventId: string, text: string | RegExp): Promise<StoredLogLine>;
  /** The pid on this host of a process of an instance, which has another pid in its own namespace. */
  pidOf(instanceId: string, pid: number | string | undefined): number;
  /** Waits until something is so. */
  until<T>(claim: () => T | undefined | false, what: string, withinMs?: number): Promise<T>;
  /** Breaks the stream to the scheduler. */
  breakStream(): void;
  /** Stops or starts echoing heartbeats and accepting streams. */
  isUnreachable: boolean;
  /** Accepts streams and does not welcome, as a scheduler that is suspended. */
  silent: boolean;
  /** Whether the event-store stores lines. */
  storing: boolean;
  leaseMs: number;
  dispose(): Promise<void>;
};

export async function startHost(
  given: Pick<InstanceAgentSettings, 'sandbox' | 'network' | 'networkAllow' | 'subnet' | 'uids' | 'codeCacheMb' | 'ready'> & {
    leaseMs?: number;
    dataDir?: string;
    agentId?: string;
    /** Speak over the wire. */ grpc?: boolean;
    drainDeadlineMs?: number;
    capacityMb?: number;
    log?: Log;
  } = {},
): Promise<Host> {
  const dataDir = given.dataDir ?? (await mkdtemp(join(tmpdir(), 'evenfall-agent-')));
  const packages = new Map<string, Buffer>();
  const waiters = new Set<() => void>();
  const changed = (): void => waiters.forEach((wake) => wake());
  let stream: Pushable<AttachResponse> | undefined;

  const scheduler = {
    async *attach(requests: AsyncIterable<AttachRequest>) {
      if (host.isUnreachable) throw new Error('not here');
      const mine = pushable<AttachResponse>();
      stream = mine;
      void (async () => {
        for await (const request of requests) {
          if (request.hello) {
            host.hellos.push(request);
            const welcome = { lease: durationOfMs(host.leaseMs), heartbeatInterval: durationOfMs(host.leaseMs / 6) };
            if (!host.silent) mine.push({ ...AttachResponse.create(), welcome });
          }
          if (request.heartbeat && !host.isUnreachable) mine.push({ ...AttachResponse.create(), heartbeat: request.heartbeat });
          if (request.drain) host.drains.push(request);
          host.temporaryMb = request.temporaryMb ?? host.temporaryMb;
          host.reports.push(...request.reports);
          host.changes.push(...request.instanceChanges);
          changed();
        }
      })().catch(() => undefined);
      yield* mine;
    },
  };
  const registry = {
    async *getCodePackage({ codeSha256 }: { codeSha256: string }) {
      const data = packages.get(codeSha256);
      if (!data && codeSha256.startsWith('e')) throw refuse('CODE_PACKAGE_NOT_FOUND', { sha256: codeSha256 });
      if (!data) throw new Error('no such package');
      yield { data };
    },
  };
  const eventStore = {
    async appendLogLines({ lines }: { lines: StoredLogLine[] }) {
      if (!host.storing) throw new Error('away');
      host.lines.push(...lines);
      changed();
      return { refusedCount: 0 };
    },
  };
  const log = given.log ?? (process.env['EVENFALL_TEST_LOG'] ? createLog('agent') : silentLog);
  // The fakes have the methods the agent calls, and no others.
  const quiet = (): void => undefined;
  const fakes = {
    scheduler: scheduler as unknown as Implementation<typeof SchedulerServiceService>,
    registry: registry as unknown as Implementation<typeof RegistryServiceService>,
    eventStore: eventStore as unknown as Implementation<typeof EventStoreServiceService>,
  };
  const wire = given.grpc ? await overTheWire(fakes) : undefined;
  const ports: InstanceAgentPorts = wire
    ? { ...wire.clients, log }
    : {
        scheduler: inProcessClient(SchedulerServiceService, fakes.scheduler, quiet),
        registry: inProcessClient(RegistryServiceService, fakes.registry, quiet),
        eventStore: inProcessClient(EventStoreServiceService, fakes.eventStore, quiet),
        log,
      };

  const until = <T>(claim: () => T | undefined | false, what: string, withinMs = 30_000): Promise<T> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const value = claim();
        if (value === undefined || value === false) return;
        done();
        resolve(value);
      };
      const late = setTimeout(() => {
        done();
        reject(new Error(`Did not happen within ${withinMs} ms: ${what}`));
      }, patient(withinMs));
      const poll = setInterval(check, 10); // for facts outside, such as processes
      const done = (): void => {
        clearTimeout(late);
        clearInterval(poll);
        waiters.delete(check);
      };
      waiters.add(check);
      check();
    });
  const send = (response: Partial<AttachResponse>): void => stream?.push({ ...AttachResponse.create(), ...response });

  const instanceOf = async (fn: Partial<FunctionMessage>, files: Readonly<Record<string, string | Buffer>>) => {
    const zip = await zipOf(files);
    const codeSha256 = createHash('sha256').update(zip).digest('hex');
    packages.set(codeSha256, zip);
    const complete = {
      ...FunctionMessage.create(),
      namespace: 'default',
      name: 'f',
      version: '$LATEST',
      memoryMb: 128,
      timeout: durationOfMs(30_000),
      codeSha256,
      ...fn,
    };
    return { ...StartInstance.create(), instanceId: newUuidV7(), function: complete };
  };
  const assignmentOf = (payload: unknown, more: Partial<Assignment>): Assignment => ({
    ...Assignment.create(),
    eventId: newUuidV7(),
    attempt: 1,
    namespace: 'default',
    function: 'f',
    version: '$LATEST',
    payload: Buffer.from(JSON.stringify(payload)),
    ...more,
  });

  const host: Host = {
    agent: undefined as unknown as RunningInstanceAgent, // set below, before it is returned
    agentId: '',
    dataDir,
    reports: [],
    changes: [],
    lines: [],
    hellos: [],
    drains: [],
    temporaryMb: 0,
    isUnreachable: false,
    silent: false,
    storing: true,
    leaseMs: given.leaseMs ?? 30_000,
    until,
    send,
    async start(fn, files, ahead = false) {
      const instance = await instanceOf(fn, files);
      send({ startInstances: [{ ...instance, ahead }] });
      return instance.instanceId;
    },
    async startWith(fn, files) {
      const instance = await instanceOf(fn, files);
      const assignment = assignmentOf({}, {});
      send({ startInstances: [instance], assignments: [{ instanceId: instance.instanceId, assignment }] });
      return { instance: instance.instanceId, eventId: assignment.eventId };
    },
    run(instanceId, payload = {}, more = {}) {
      const assignment = assignmentOf(payload, more);
      send({ assignments: [{ instanceId, assignment }] });
      return assignment.eventId;
    },
    stop(eventId, mode, policy) {
      const stop: StopAttempt = {
        ...StopAttempt.create(),
        eventId,
        attempt: 1,
        cause: Cause.USER,
        mode: mode === 'FORCE' ? Mode.FORCE : Mode.GRACEFUL,
        policy: policy && { ...TerminationPolicy.create(), ...policy },
      };
      send({ stops: [stop] });
    },
    async ended(eventId, count = 1) {
      const find = (): AttemptResult | undefined => {
        const all = host.reports.filter((report) => report.eventId === eventId && report.report?.$case === 'ended');
        const found = all[count - 1]?.report;
        return found?.$case === 'ended' ? found.value : undefined;
      };
      return until(find, `the end of ${eventId}`);
    },
    async ready(instanceId) {
      await until(() => host.changes.find((each) => each.instanceId === instanceId && each.change?.$case === 'ready'), 'instance ready');
    },
    async gone(instanceId) {
      const find = () => host.changes.find((each) => each.instanceId === instanceId && each.change?.$case === 'gone')?.change;
      const change = await until(find, 'instance gone');
      return change.$case === 'gone' && change.value.startFailed;
    },
    pidOf: (instanceId, pid) => hostPid(`EVENFALL_INSTANCE_ID=${instanceId}\0`, Number(pid)),
    line: (eventId, text) =>
      until(
        () =>
          host.lines.find(
            (each) => each.eventId === eventId && (typeof text === 'string' ? each.line?.text === text : text.test(each.line?.text ?? '')),
          ),
        `the line ${text}`,
      ),
    breakStream: () => stream?.fail(new Error('broken by the test')),
    async dispose() {
      await host.agent.stop();
      await wire?.close();
      if (!given.dataDir) await rm(dataDir, { recursive: true, force: true });
    },
  };
  const agent = await startInstanceAgent(ports, {
    ...given,
    // The pids that functions report are not those of this host behind bubblewrap: tests of that request it.
    sandbox: given.sandbox ?? (process.env['EVENFALL_TEST_SANDBOX'] as 'process' | undefined) ?? 'process',
    dataDir,
    // Which process an instance gets must be the same at every run: tests of that request it.
    ready: given.ready ?? Number(process.env['EVENFALL_TEST_READY'] ?? 0),
    capacityMb: given.capacityMb ?? 4096,
    parallelStarts: 2,
    searchPath: process.env['PATH'],
    drainDeadlineMs: given.drainDeadlineMs ?? 0,
  });
  Object.assign(host, { agent, agentId: agent.agentId });
  await until(() => host.hellos.length > 0, 'hello');
  return host;
}

type Fakes = {
  readonly scheduler: Implementation<typeof SchedulerServiceService>;
  readonly registry: Implementation<typeof RegistryServiceService>;
  readonly eventStore: Implementation<typeof EventStoreServiceService>;
};

async function overTheWire(fakes: Fakes) {
  const services = [
    bind(SchedulerServiceService, withAllMethods(SchedulerServiceService, fakes.scheduler)),
    bind(RegistryServiceService, withAllMethods(RegistryServiceService, fakes.registry)),
    bind(EventStoreServiceService, withAllMethods(EventStoreServiceService, fakes.eventStore)),
  ];
  const server = await startGrpcServer({ host: '127.0.0.1', port: 0, services, onUnexpected: () => undefined });
  const address = `127.0.0.1:${server.port}`;
  const scheduler = grpcClient(SchedulerServiceService, address);
  const registry = grpcClient(RegistryServiceService, address);
  const eventStore = grpcClient(EventStoreServiceService, address);
  return {
    clients: { scheduler: scheduler.client, registry: registry.client, eventStore: eventStore.client },
    async close() {
      for (const each of [scheduler, registry, eventStore]) each.close();
      await server.stop(0);
    },
  };
}

/** A server wants a handler for every method; those the agent does not call are never reached. */
function withAllMethods<S extends ServiceDefinition>(service: S, fake: Implementation<S>): Implementation<S> {
  const none = Object.fromEntries(Object.keys(service).map((name) => [name, () => Promise.reject(new Error('not played'))]));
  return { ...none, ...fake };
}

/** Scripts with a `#!` line and programs, which are bytes, are executable. */
function zipOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) {
    const isProgram = typeof content !== 'string' || content.startsWith('#!');
    zip.addBuffer(Buffer.from(content), name, { mode: isProgram ? 0o100755 : 0o100644 });
  }
  zip.end();
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    zip.outputStream.on('data', (part: Buffer) => parts.push(part));
    zip.outputStream.on('end', () => resolve(Buffer.concat(parts)));
    zip.outputStream.on('error', reject);
  });
}

/** The error of an attempt, as SCF shapes it. */
export function errorOf(ended: AttemptResult): Record<string, unknown> & { readonly errorMessage: string; readonly stackTrace?: string } {
  return JSON.parse(ended.error.toString()) as ReturnType<typeof errorOf>; // the tests check the rest
}

/** Whether a process lives (a zombie does not). */
export function isAlive(pid: number): boolean {
  return readStat(pid) !== undefined && readStat(pid)?.state !== 'Z';
}

export { readStat };
