import { statfsSync } from 'node:fs';
import type { Ability } from '../../../domain/ability.ts';
import type { Interpreters } from '../launch/interpreters.ts';

/** Below this a few packages and floods of log lines fill the disk. */
const LOW_BYTES = 2 * 1024 ** 3;
const GB = 1024 ** 3;

/** What a host has for functions besides isolation: interpreters and room. */
export function hostAbilities(dataDir: string, interpreters: Interpreters): Ability[] {
  const { python } = interpreters;
  const { bavail, bsize } = statfsSync(dataDir);
  const freeBytes = bavail * bsize;
  return [
    { name: 'nodejs', available: true, detail: `Node ${process.versions.node}` },
    { name: 'python3', available: python !== undefined, detail: python ?? 'there is no python3 on the path' },
    { name: 'disk', available: freeBytes >= LOW_BYTES, detail: `${(freeBytes / GB).toFixed(1)} GB are free in ${dataDir}` },
  ];
}
