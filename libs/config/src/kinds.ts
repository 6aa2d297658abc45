import { briefDuration, parseDuration } from '@evenfall/time';
import type { Setting } from './settings.ts';

/** Parameters of every kind: name, meaning, and default (absent: the setting is optional). */
type Common = { readonly name: string; readonly doc: string; readonly secret?: boolean };
type Given<F extends string | undefined> = Common & { readonly fallback: F };
type Value<T, F> = F extends string ? T : T | undefined;

function setting<T, F extends string | undefined>(given: Given<F>, form: string, parse: Setting<T>['parse']): Setting<Value<T, F>> {
  return { ...given, form, parse: parse }; // T is Value<T, F> wherever there is a text to parse
}

export function text<F extends string | undefined>(given: Given<F> & { readonly pattern?: RegExp; readonly form?: string }) {
  const form = given.form ?? 'text';
  return setting<string, F>(given, form, (value) =>
    given.pattern && !given.pattern.test(value) ? { fault: 'not of that form' } : { value },
  );
}

export function integer<F extends string | undefined>(given: Given<F> & { readonly min: number; readonly max: number }) {
  return setting<number, F>(given, `a whole number from ${given.min} to ${given.max}`, (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    return number >= given.min && number <= given.max ? { value: number } : { fault: 'out of range or not a number' };
  });
}

/** Read to milliseconds. */
export function duration<F extends string | undefined>(given: Given<F> & { readonly minMs: number; readonly maxMs: number }) {
  const bounds = [briefDuration(given.minMs), briefDuration(given.maxMs)] as const;
  return setting<number, F>(given, `a duration from ${bounds.join(' to ')}`, (value) => {
    const ms = parseDuration(value);
    if (ms === undefined) return { fault: 'not a duration' };
    return ms >= given.minMs && ms <= given.maxMs ? { value: ms } : { fault: `not between ${bounds.join(' and ')}` };
  });
}

export function choice<const C extends string, F extends C | undefined>(given: Given<F> & { readonly choices: readonly C[] }) {
  return setting<C, F>(given, `one of ${given.choices.join(', ')}`, (value) => {
    const found = given.choices.find((one) => one === value);
    return found === undefined ? { fault: 'none of these' } : { value: found };
  });
}

export function flag<F extends string | undefined>(given: Given<F>) {
  return setting<boolean, F>(given, '"true" or "false"', (value) =>
    value === 'true' || value === 'false' ? { value: value === 'true' } : { fault: 'neither' },
  );
}

/** Comma-separated; blanks around the parts are taken off, empty parts are a fault. */
export function list<F extends string | undefined>(given: Given<F> & { readonly pattern: RegExp; readonly form: string }) {
  return setting<readonly string[], F>(given, given.form, (value) => {
    const parts = value.split(',').map((part) => part.trim());
    return parts.every((part) => given.pattern.test(part)) ? { value: parts } : { fault: 'not of that form' };
  });
}
