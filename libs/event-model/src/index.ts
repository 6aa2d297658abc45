export { evolve, isFinal } from './evolve.ts';
export { mayBeKnown } from './known.ts';
export { isBelieved, NO_OWNER, ownerAfter, type PartitionOwner } from './ownership.ts';
export { decide, type Command } from './decide.ts';
export { eventPolicyOf } from './event-policy.ts';
export { destinationKey, MAX_DEPTH, owedDestination } from './destination.ts';
export { errorClassOf, type ErrorClass } from './error-class.ts';
export { systemBackoffMs } from './backoff.ts';
export { platformLinesBefore, platformLinesAfter, signalLine, signalsOf, reportOf, mergeLog, type PlatformLine } from './log-lines.ts';
