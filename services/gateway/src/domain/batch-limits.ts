/** Events one batch may hold. */
export const MAX_BATCH_EVENTS = 1_000;
/** Bytes of all payloads of one batch: what the parts behind take in one message, with room to spare. */
export const MAX_BATCH_BYTES = 32 * 1024 * 1024;
