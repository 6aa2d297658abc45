/** Permanent failures of a message, as a broker answers them (Kafka's protocol, error codes 10, 18, 32 and 87). */
const PERMANENT_TYPES = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_TIMESTAMP', 'INVALID_RECORD']);

/** What a broker answered, which lies under what kafkajs says of its tries. */
export function rootOf(error: unknown): { readonly type: string; readonly name: string } {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  if (!(root instanceof Error)) return { type: '', name: '' };
  return { type: 'type' in root && typeof root.type === 'string' ? root.type : '', name: root.name };
}

/** Whether a broker will not take these messages later either. */
export function isPermanent(error: unknown): boolean {
  return PERMANENT_TYPES.has(rootOf(error).type);
}
