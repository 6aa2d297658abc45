export type { EventLog, LogBatch, Subscriber, Subscription } from './port.ts';
export { laneKey, partitionOfLane } from './lane.ts';
export { openEmbeddedLog, type EmbeddedLogOptions } from './embedded/driver.ts';
