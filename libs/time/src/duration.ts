/** google.protobuf.Duration as ts-proto makes it. */
export type ProtoDuration = { seconds: bigint; nanos: number };

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Parses "60s", "0.5s", "250ms", "10m" or "6h" to milliseconds; undefined if it is none of these.
 * Fractions finer than a microsecond are refused rather than rounded away.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?(ms|s|m|h)$/.exec(text);
  if (!match) return undefined;
  const [, integer, fraction, unit] = match;
  return Number(`${integer}.${fraction ?? '0'}`) * (UNITS_MS[unit ?? ''] ?? Number.NaN);
}

/** Writes milliseconds the way the API shows them: seconds with "s", as "60s" or "0.5s". */
export function formatDuration(ms: number): string {
  return `${Number((ms / 1000).toFixed(6))}s`;
}

/** Writes milliseconds the way people do, in the largest unit that needs no fraction: "10m", "72h", "1500ms". */
export function briefDuration(ms: number): string {
  const [unit, size] = Object.entries(UNITS_MS).findLast(([, each]) => ms !== 0 && ms % each === 0) ?? ['s', 1000];
  return `${ms / size}${unit}`;
}

export function durationOfMs(ms: number): ProtoDuration {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** Milliseconds of a protobuf duration; undefined stays undefined. */
export function msOfDuration(duration: ProtoDuration): number;
export function msOfDuration(duration: ProtoDuration | undefined): number | undefined;
export function msOfDuration(duration: ProtoDuration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
