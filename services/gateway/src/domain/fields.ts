import { invalidField, refuse, type Refusal } from '@evenfall/errors';

/** The refusal of text that is longer than `most` characters. */
export function lengthRefusal(field: string, text: string, most: number): Refusal | undefined {
  if (text.length <= most || Array.from(text).length <= most) return undefined; // a pair of surrogates is one character
  return invalidField(field, `at most ${most} characters`);
}

/** The refusal of text that no stored text can equal: a database would not accept it, and fail. */
export function textRefusal(field: string, text: string): Refusal | undefined {
  return text.includes('\0') || !text.isWellFormed() ? invalidField(field, 'text in Unicode without NUL characters') : undefined;
}

/** The refusal of a time that some service cannot hold. */
export function timeRefusal(field: string, time: Date | undefined): Refusal | undefined {
  const year = time?.getUTCFullYear() ?? 1;
  return year >= 1 && year <= 9_999 ? undefined : invalidField(field, 'a time in the years 1 to 9999'); // NaN is not
}

/** The refusal of a number that no value of the enum has. */
export function enumRefusal(field: string, value: number, values: Readonly<Record<string, number>>): Refusal | undefined {
  for (const [name, known] of Object.entries(values)) if (known === value && name !== 'UNRECOGNIZED') return undefined;
  const names = Object.keys(values).filter((name) => name !== 'UNRECOGNIZED' && name !== 'UNSPECIFIED');
  return invalidField(field, `one of ${names.join(', ')}`);
}

/** The id of an event as it is stored; or EVENT_NOT_FOUND for text that no event can have as its id. */
export function eventIdOf(text: string): string | Refusal {
  const id = text.toLowerCase();
  const isId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id);
  return isId ? id : refuse('EVENT_NOT_FOUND', { event_id: text.slice(0, 80) });
}
