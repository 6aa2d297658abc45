import { setTimeout as sleep } from 'node:timers/promises';
import type { Log, Readiness } from '@evenfall/telemetry';

/** A service that a process cannot work without. */
export type Dependency = { readonly name: string; answers(): Promise<boolean> };

/** Those a process depends on, asked again and again. */
export type Dependencies = {
  add(dependency: Dependency): void;
  /** Those that have not answered since the process started. */
  unmet(): string[];
  /** Those that did not answer when they were asked last. */
  away(): string[];
  /** Resolves once each has answered. */
  met(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
};

const ASK_AWAY_MS = 250;
const ASK_PRESENT_MS = 2_000;
const ANSWER_WITHIN_MS = 3_000;
/** Of processes that are started together, one is always first. */
const UNSAID_MS = 3_000;

function lateAnswer(signal: AbortSignal): Promise<boolean> {
  return sleep(ANSWER_WITHIN_MS, false, { signal });
}

/** Watches dependencies. One line of the log when one goes away, and one when it is back; nothing in between. */
export function watchDependencies(log: Log, unsaidMs = UNSAID_MS): Dependencies {
  const states = new Map<string, { hasAnswered: boolean; isAway: boolean }>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const watches: Promise<void>[] = [];
  let onAnswer: (() => void) | undefined;

  const watch = async ({ name, answers }: Dependency): Promise<void> => {
    const state = { hasAnswered: false, isAway: true };
    states.set(name, state);
    const begunMs = performance.now();
    let isReported = false;
    while (!signal.aborted) {
      const isThere = await Promise.race([answers(), lateAnswer(signal)]).catch(() => false); // away, whatever it says
      if (signal.aborted) return;
      const isWorthALine = state.hasAnswered || performance.now() - begunMs >= unsaidMs;
      if (!isThere && !isReported && isWorthALine) {
        log.warn(state.hasAnswered ? 'a dependency does not answer any more' : 'waiting for a dependency', { name });
        isReported = true;
      }
      if (isThere && isReported) {
        log.info('the dependency answers', { name });
        isReported = false;
      }
      state.isAway = !isThere;
      if (isThere && !state.hasAnswered) {
        state.hasAnswered = true;
        onAnswer?.();
      }
      await sleep(isThere ? ASK_PRESENT_MS : ASK_AWAY_MS, undefined, { signal }).catch(() => undefined); // stopping
    }
  };
  const namesOf = (holds: (state: { hasAnswered: boolean; isAway: boolean }) => boolean): string[] =>
    [...states].filter(([, state]) => holds(state)).map(([name]) => name);
  const unmet = (): string[] => namesOf(({ hasAnswered }) => !hasAnswered);

  return {
    add: (dependency) => void watches.push(watch(dependency)),
    unmet,
    away: () => namesOf(({ isAway }) => isAway),
    async met(until) {
      while (unmet().length > 0 && !until.aborted) {
        await new Promise<void>((resolve) => {
          onAnswer = resolve;
          until.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all(watches);
    },
  };
}

/**
 * What `/readyz` says. Once a process was ready, it stays so while others are away: it does what it can without them, and taking it out of
 * service would mend nothing. With a fault of its own, accepted events that cannot run or be read, it is not ready until that is over.
 */
export function readinessOf(isStarted: boolean, dependencies: Dependencies, faults: readonly string[] = []): Readiness {
  const unmet = dependencies.unmet();
  const waitsFor = [...(isStarted ? [] : ['its own start']), ...dependencies.away()];
  return { isReady: isStarted && unmet.length + faults.length === 0, waitsFor, ...(faults.length > 0 ? { faults } : {}) };
}
