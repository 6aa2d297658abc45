// Runs on a thread of its own: reads code packages through.
import { createHash } from 'node:crypto';
import { serveTasks } from '@evenfall/worker-pool';
import type { PackageLimits } from '@evenfall/function-model';
import { inspectPackage } from './zip.ts';

serveTasks({
  async inspect({ bytes, limits }: { readonly bytes: Uint8Array<ArrayBuffer>; readonly limits: PackageLimits }) {
    const zip = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const { files, programs } = await inspectPackage(zip, limits);
    return { value: { files, programs, sha256: createHash('sha256').update(zip).digest('hex'), bytes }, transfer: [bytes.buffer] };
  },
});
