import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { INSTANCE_BOUNDS, instanceBounds } from '@evenfall/function-model';

/** Which versions a process that is started ahead can serve: everything else of a version can be passed later. */
export type ReadyKind = { readonly runtime: 'nodejs' | 'python3'; readonly memoryMb: number };

/** A process that was started ahead, and what it may be claimed for. */
export type ReadyState = { readonly id: string; readonly kind: ReadyKind; readonly isUp: boolean };

export type ReadyDemand = {
  readonly nowMs: number;
  /** When an instance of each kind was last started; by `nameOf`. */
  readonly uses: ReadonlyMap<string, { readonly kind: ReadyKind; readonly usedMs: number }>;
  readonly ready: readonly ReadyState[];
  /** How many of each kind. */
  readonly perKind: number;
  /** What instances leave of the host's memory. */
  readonly freeMb: number;
  /** Whether no instance starts and none has lately. */
  readonly isCalm: boolean;
};

/** What ends, and what is started: one at a time. */
export type ReadyStep = { readonly end: readonly string[]; readonly start: ReadyKind | undefined };

/** A kind of which no instance was started for so long is not kept. */
export const UNUSED_AFTER_MS = 600_000;
/** Of all kinds. */
export const MOST_READY = 4;

/**
 * Variables that a loader, a C library, an interpreter or what it loads at its start obeys: passed later they have no effect, so a version
 * that sets one starts in the ordinary way. By prefixes of names, and complete names.
 */
const READ_AT_START =
  /^(?:NODE|UV|V8|ICU|PYTHON|LD|LC|GLIBC|MALLOC|OPENSSL|SSL|SETUPTOOLS|COVERAGE|VIRTUAL)_|^(?:PYTHON|MALLOC)|^(?:HOME|TZ|TZDIR|LANG|LANGUAGE|LOCPATH|NLSPATH|GCONV_PATH|CHARSET|OUTPUT_CHARSET|SSLKEYLOGFILE)$/;

export function nameOf({ runtime, memoryMb }: ReadyKind): string {
  return `${runtime}/${memoryMb}`;
}

type ReadyOptions = Pick<FunctionMessage, 'runtime' | 'memoryMb' | 'environment' | 'tmpMb' | 'maxProcesses'>;

/** The kind of process that can become an instance of a version; undefined if it can only be started for it. */
export function readyKindOf({ runtime, memoryMb, environment, ...fn }: ReadyOptions): ReadyKind | undefined {
  if (runtime !== 'nodejs' && runtime !== 'python3') return undefined;
  // Its mounts and limits have the default sizes: they cannot be changed later.
  const { tmpMb, maxProcesses } = instanceBounds(fn);
  if (tmpMb !== INSTANCE_BOUNDS.tmpMb.default || maxProcesses !== INSTANCE_BOUNDS.maxProcesses.default) return undefined;
  if (Object.keys(environment).some((name) => READ_AT_START.test(name))) return undefined;
  return { runtime, memoryMb };
}

/** Decides which processes to end and to start: kinds used lately, the latest first, as far as they have room beside the instances. */
export function stepOf({ nowMs, uses, ready, perKind, freeMb, isCalm }: ReadyDemand): ReadyStep {
  const lately = [...uses.values()].filter(({ usedMs }) => nowMs - usedMs < UNUSED_AFTER_MS).sort((a, b) => b.usedMs - a.usedMs);
  const left = new Set(ready);
  let [count, roomMb] = [0, freeMb];
  let start: ReadyKind | undefined;
  for (const { kind } of lately) {
    for (let i = 0; i < perKind && count < MOST_READY && kind.memoryMb <= roomMb; i++) {
      count += 1;
      roomMb -= kind.memoryMb;
      const kept = [...left].find((each) => nameOf(each.kind) === nameOf(kind));
      if (kept) left.delete(kept);
      else start ??= kind;
    }
  }
  // Starts of instances go first, and one at a time is enough: a burst is served in the ordinary way.
  const mayStart = isCalm && ready.every(({ isUp }) => isUp);
  return { end: [...left].map(({ id }) => id), start: mayStart ? start : undefined };
}

/** The one that has been up for longest; `ready` is in the order of starts. */
export function claimable(ready: readonly ReadyState[], kind: ReadyKind): ReadyState | undefined {
  return ready.find((each) => each.isUp && nameOf(each.kind) === nameOf(kind));
}
