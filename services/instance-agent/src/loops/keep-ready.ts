import { claimable, nameOf, type ReadyKind, readyKindOf, type ReadyState, stepOf, UNUSED_AFTER_MS } from '../domain/ready-pool.ts';
import type { Agent, ReadyProcesses } from '../flows/agent.ts';
import type { InstanceNetwork, ReadyProcess } from '../ports.ts';

export type ReadyPool = ReadyProcesses & {
  /** One look: ends what is not wanted, starts at most one. Temporary files of instances are memory too. */
  round(agent: Agent, temporaryMb: number): void;
  /** Ends all, and keeps none from here on; resolves when nothing is left of them. */
  close(): Promise<void>;
  readonly counts: { readonly ready: number; readonly claimed: number };
};

export type ReadyOptions = {
  /** How many of each kind; 0 for none at all. */
  readonly perKind: number;
  readonly capacityMb: number;
  readonly now: () => number;
  readonly onFault: (error: unknown) => void;
};

/** A host is calm when no instance was started for so long. */
const CALM_AFTER_MS = 200;

/** After one that ended by itself, or could not be started: the next may fare no better. */
const PAUSE_MS = 5_000;

/** One that takes longer to wait for an instance will never do so, and would keep others from being started. */
const BOOTS_WITHIN_MS = 20_000;

/** Keeps processes ready for kinds of versions that were started lately. */
export function keepReady({ perKind, capacityMb, now, onFault }: ReadyOptions): ReadyPool {
  const uses = new Map<string, { readonly kind: ReadyKind; readonly usedMs: number }>();
  /** In the order of their starts. */
  const ready = new Map<string, ReadyProcess>();
  const startedMs = new WeakMap<ReadyProcess, number>();
  const endings = new Set<Promise<void>>();
  let isStarting = false;
  let [isClosed, claimedCount, lastStartMs, pausedUntilMs] = [perKind === 0, 0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];

  const states = (): ReadyState[] => [...ready.values()].map((each) => ({ id: each.id, kind: each.kind, isUp: each.isUp() }));
  const end = (id: string): void => {
    const process = ready.get(id);
    ready.delete(id);
    if (!process) return;
    const ending = process.end().catch(onFault);
    endings.add(ending);
    void ending.then(() => endings.delete(ending));
  };
  const start = async (agent: Agent, kind: ReadyKind): Promise<void> => {
    isStarting = true;
    let network: InstanceNetwork | undefined;
    try {
      const opened = await agent.networks.open();
      if ('statusCode' in opened) throw new Error(opened.message);
      network = opened;
      if (isClosed) {
        network.close();
        return;
      }
      const started: ReadyProcess | undefined = agent.driver.startReady(
        kind,
        network,
        () => undefined, // `isUp` is read instead
        () => {
          if (started && ready.delete(started.id)) pausedUntilMs = now() + PAUSE_MS; // it ended by itself
        },
      );
      if (started) ready.set(started.id, started);
      if (started) startedMs.set(started, now());
      else pausedUntilMs = now() + PAUSE_MS;
    } catch (error) {
      network?.close();
      pausedUntilMs = now() + PAUSE_MS;
      onFault(error);
    } finally {
      isStarting = false;
    }
  };
  return {
    async claim(spec, events) {
      lastStartMs = now();
      const kind = isClosed ? undefined : readyKindOf(spec.fn);
      if (!kind) return undefined;
      uses.set(nameOf(kind), { kind, usedMs: now() });
      const found = claimable(states(), kind);
      const process = found && ready.get(found.id);
      if (!process) return undefined;
      ready.delete(process.id); // before the first await: it must not be claimed twice
      const claimed = await process.become(spec, events);
      if (claimed) claimedCount += 1;
      return claimed;
    },
    round(agent, temporaryMb) {
      if (isClosed) return;
      const nowMs = now();
      for (const [name, { usedMs }] of uses) if (nowMs - usedMs >= UNUSED_AFTER_MS) uses.delete(name);
      for (const [id, process] of ready) {
        if (process.isUp() || nowMs - (startedMs.get(process) ?? nowMs) < BOOTS_WITHIN_MS) continue;
        end(id);
        pausedUntilMs = nowMs + PAUSE_MS;
      }
      const instances = [...agent.instances.values()];
      const usedMb = instances.reduce((sum, { fn }) => sum + fn.memoryMb, 0);
      const isCalm = nowMs - lastStartMs >= CALM_AFTER_MS && instances.every(({ life }) => life.kind !== 'STARTING');
      const step = stepOf({ nowMs, uses, ready: states(), perKind, freeMb: capacityMb - usedMb - temporaryMb, isCalm });
      for (const id of step.end) end(id);
      if (step.start && !isStarting && nowMs >= pausedUntilMs) void start(agent, step.start);
    },
    async close() {
      isClosed = true;
      for (const id of [...ready.keys()]) end(id);
      while (endings.size > 0) await Promise.all(endings);
    },
    get counts() {
      return { ready: states().filter(({ isUp }) => isUp).length, claimed: claimedCount };
    },
  };
}
