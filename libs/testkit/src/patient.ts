const slowness = Number(process.env['EVENFALL_TEST_SLOWNESS'] ?? 1);

/** How long a test waits for something that takes at most `ms` on an ordinary machine: longer where EVENFALL_TEST_SLOWNESS says so. */
export function patient(ms: number): number {
  return ms * (Number.isFinite(slowness) && slowness >= 1 ? slowness : 1);
}
