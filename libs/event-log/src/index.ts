export type { EventLog, LogBatch, Subscriber, Subscription, Unreadable } from './port.ts';
export { RECORD_BYTES, RecordsRefused, type RefusedWhy, WRITE_BYTES } from './refused.ts';
export { appendTimeMsOf, logTimeMsOf } from './append-times.ts';
export { from as batchFrom, partOf } from './decode.ts';
export { laneKey, partitionOfLane } from './lane.ts';
export { openEmbeddedLog, type EmbeddedLogOptions } from './embedded/driver.ts';
