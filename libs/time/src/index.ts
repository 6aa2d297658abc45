export { backoffMs, createBackoff, type Backoff, type BackoffTerms } from './backoff.ts';
export { type Clock, systemClock, fakeClock, type FakeClock } from './clock.ts';
export { briefDuration, parseDuration, formatDuration, durationOfMs, msOfDuration, type ProtoDuration } from './duration.ts';
export { newUuidV7, uuidOfName, timeOfUuidV7, isUuid } from './uuid.ts';
export { aborted, delay, deadlineSignal, yieldToLoop } from './waiting.ts';
export { dueQueue, type DueQueue } from './due-queue.ts';
