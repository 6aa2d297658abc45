import { refuse } from '@evenfall/errors';
import { serveTasks } from '../serve.ts';

serveTasks({
  length: (bytes: Uint8Array) => ({ value: bytes.length }),
  back: (bytes: Uint8Array<ArrayBuffer>) => ({ value: bytes, transfer: [bytes.buffer] }),
  refuse: () => {
    throw refuse('INVALID_FIELD', { field: 'x', rule: 'none' });
  },
  fail: () => {
    throw new Error('inner');
  },
  spin: () => {
    for (;;);
  },
  leave: () => process.exit(3),
});
