import { scfError } from './codes.ts';

/** Values that ask for nothing: what callers and tools send for what they do not use. */
const NOTHING: ReadonlySet<unknown> = new Set(['', 'FALSE', 'DISABLE', false, undefined, null]);

/**
 * Refuses parameters of SCF that this platform has nothing for, if they ask for something. To accept them and do nothing would mislead: a
 * function that is to run in a private network must not run outside of it.
 */
export function refuseUnsupported(input: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  for (const name of names) {
    const value = input[name];
    if (!asksForNothing(name === 'PublicNetConfig' ? withoutDefault(value) : value, 4)) {
      throw scfError('UnsupportedOperation', `The parameter \`${name}\` is not supported here.`);
    }
  }
}

function asksForNothing(value: unknown, depth: number): boolean {
  if (NOTHING.has(value)) return true;
  if (typeof value !== 'object' || value === null || depth === 0) return false;
  return Object.values(value).every((one) => asksForNothing(one, depth - 1));
}

/** Public network access is what a function has; to ask for it is to ask for nothing, to ask for none is not offered. */
function withoutDefault(config: unknown): unknown {
  if (typeof config !== 'object' || config === null) return config;
  const { PublicNetStatus: status, ...rest } = config as { PublicNetStatus?: unknown };
  return { ...rest, status: status === 'DISABLE' || (status !== 'ENABLE' && !NOTHING.has(status)) };
}
