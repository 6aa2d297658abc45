import type { BenchOptions } from './options.ts';
import type { Stack } from './stack.ts';

export type BenchRun = {
  readonly stack: Stack;
  /** Measured rounds; a warm-up comes before them. */
  readonly rounds: number;
  readonly runtime: 'nodejs' | 'python3';
  readonly options: BenchOptions;
  /** Writes one JSON line. */
  readonly print: (line: Readonly<Record<string, unknown>>) => void;
};

export type BenchCase = (run: BenchRun) => Promise<void>;

/** The value below which the given share of the numbers lies. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN);
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
