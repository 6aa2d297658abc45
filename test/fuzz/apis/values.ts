import { pick, type Random } from '../../support/random.ts';
import { bytes, wholeNumber, WORDS } from './target.ts';

const NUMBERS = [0, -0, -1, 1, 1.5, 1e21, 1e-300, 2 ** 53, -(2 ** 31), 86_400, 2 ** 31 - 1, 4_294_967_296] as const;
/** Names that bodies have somewhere. */
const NAMES = [
  'name',
  'runtime',
  'handler',
  'timeout',
  'memory_mb',
  'environment',
  'code_zip',
  'events',
  'payload',
  'delay',
  'graceful',
  'grace_period',
  'escalation',
  'role',
  'namespaces',
  'event_invoke',
  'destination',
  'on_failure',
  'pre_stop',
  'events_per_second',
  'burst',
  'queued_events',
  'functions',
  'versions',
  'code_bytes',
  'instances',
  'reserved',
  '__proto__',
  'constructor',
] as const;

/** Any number that JSON has. */
export function anyNumber(random: Random): number {
  return random() < 0.5 ? pick(random, NUMBERS) : wholeNumber(random, 1_000);
}

/** Any JSON. */
export function anyValue(random: Random, depth = 3): unknown {
  switch (wholeNumber(random, depth > 0 ? 9 : 6)) {
    case 0:
      return pick(random, NUMBERS);
    case 1:
      return pick(random, WORDS);
    case 2:
      return random() < 0.5;
    case 3:
      return null;
    case 4:
      return `${wholeNumber(random, 100_000)}${pick(random, ['s', 'ms', 'h', '', 'years'])}`;
    case 5:
      return bytes(random, wholeNumber(random, 60)).toString('base64');
    case 6:
      return Array.from({ length: wholeNumber(random, 5) }, () => anyValue(random, depth - 1));
    default:
      return anyObject(random, depth - 1);
  }
}

export function anyObject(random: Random, depth = 3): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: wholeNumber(random, 6) }, () => [pick(random, NAMES), anyValue(random, depth)]));
}

/** A body: JSON, JSON with a byte wrong, too deep, or no JSON. */
export function anyBody(random: Random): Buffer {
  const drawn = wholeNumber(random, 12);
  if (drawn === 0) return bytes(random, wholeNumber(random, 2_000));
  if (drawn === 1) return Buffer.from('['.repeat(wholeNumber(random, 200_000)));
  if (drawn === 2)
    return Buffer.from(`{"events":[${Array.from({ length: wholeNumber(random, 3_000) }, () => '{"payload":1}').join(',')}]}`);
  const text = Buffer.from(JSON.stringify(anyObject(random)));
  if (drawn < 6 && text.length > 0) text[wholeNumber(random, text.length)] = wholeNumber(random, 256);
  return text;
}
