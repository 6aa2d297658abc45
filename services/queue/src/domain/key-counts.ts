/** Adds events of an access key to counts, or takes them away; those that were sent with none are not counted. Keys without events are not kept. */
export function addToKey(counts: Map<string, number>, keyId: string, events: number): void {
  if (keyId === '') return;
  const sum = (counts.get(keyId) ?? 0) + events;
  if (sum === 0) counts.delete(keyId);
  else counts.set(keyId, sum);
}
