import { refuse } from '@evenfall/errors';
import { formatDuration, msOfDuration, type ProtoDuration } from '@evenfall/time';

/** Milliseconds of a duration within bounds; undefined stays undefined. */
export function boundedMs(field: string, duration: ProtoDuration | undefined, minMs: number, maxMs: number): number | undefined {
  if (duration === undefined) return undefined;
  const ms = msOfDuration(duration);
  if (ms < minMs || ms > maxMs || duration.nanos < 0 || duration.nanos > 999_999_999) {
    throw refuse('INVALID_FIELD', { field, rule: `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}` });
  }
  return ms;
}

/** Refuses text that is longer than it may be, in characters. */
export function checkLength(field: string, text: string, max: number): void {
  if (text.length > max && Array.from(text).length > max) throw refuse('INVALID_FIELD', { field, rule: `at most ${max} characters` });
}

/** Refuses text that no stored text can equal: what a database does not take would come back as its failure. */
export function checkText(field: string, text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) throw refuse('INVALID_FIELD', { field, rule: 'text in Unicode without NUL characters' });
}

/** Refuses times outside of what every part can hold. */
export function checkTime(field: string, time: Date | undefined): void {
  if (time === undefined) return;
  const year = time.getUTCFullYear();
  if (!(year >= 1 && year <= 9_999)) throw refuse('INVALID_FIELD', { field, rule: 'a time in the years 1 to 9999' });
}

/** Refuses a number that no value of the enum has. */
export function checkEnum(field: string, value: number, values: Readonly<Record<string, number>>): void {
  for (const [name, known] of Object.entries(values)) if (known === value && name !== 'UNRECOGNIZED') return;
  const names = Object.keys(values).filter((name) => name !== 'UNRECOGNIZED' && name !== 'UNSPECIFIED');
  throw refuse('INVALID_FIELD', { field, rule: `one of ${names.join(', ')}` });
}

/** The id of an event as it is stored, or undefined if no event can have it. */
export function eventIdOf(text: string): string | undefined {
  const id = text.toLowerCase();
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id) ? id : undefined;
}

/** The id of an event; an id that no event can have is one that no event has. */
export function knownEventId(text: string): string {
  const id = eventIdOf(text);
  if (id === undefined) throw refuse('EVENT_NOT_FOUND', { event_id: text.slice(0, 80) });
  return id;
}
