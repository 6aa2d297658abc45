const slowness = Number(process.env['EVENFALL_TEST_SLOWNESS'] ?? (process.env['CI'] ? 4 : 1));

/** How long a test waits for something that takes at most `ms` on an ordinary machine: four times as long in CI, whose machines are shared, or as EVENFALL_TEST_SLOWNESS says. */
export function patient(ms: number): number {
  return ms * (Number.isFinite(slowness) && slowness >= 1 ? slowness : 1);
}
