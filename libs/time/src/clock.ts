/** Time as an argument: what decides by the clock is given one. */
export type Clock = {
  /** Milliseconds since the epoch. May step. For what people and other machines see. */
  now(): number;
  /** Milliseconds that only rise, from an arbitrary zero. For durations and deadlines. */
  monotonic(): number;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export type FakeClock = Clock & {
  advance(ms: number): void;
  /** Sets the wall clock ahead, or back, while no time passes. */
  step(ms: number): void;
};

/** A clock that only the test moves. */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0;
  let stepped = 0;
  return {
    now: () => startMs + elapsed + stepped,
    monotonic: () => elapsed,
    advance(ms) {
      elapsed += ms;
    },
    step(ms) {
      stepped += ms;
    },
  };
}
