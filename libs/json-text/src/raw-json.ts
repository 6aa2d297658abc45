import { compact } from './layout.ts';
import { checkEnd, readArray, readObject, skipSpace, skipValue } from './scan.ts';

/** A JSON value that is there as its text. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Parses a document; values of members with these names, at any depth, stay text (but for null). Throws a `JsonFault`. */
export function parseKeeping(json: string, names: ReadonlySet<string>): unknown {
  const bytes = Buffer.from(json);
  const slice = (from: number, to: number): string => bytes.toString('utf8', from, to);
  const parse = (at: number): { readonly value: unknown; readonly end: number } => {
    if (bytes[at] === 0x7b) {
      const members: [string, unknown][] = [];
      const end = readObject(bytes, at, (key, valueAt) => {
        const member = names.has(key) ? keep(valueAt) : parse(valueAt);
        members.push([key, member.value]);
        return member.end;
      });
      return { value: Object.fromEntries(members), end };
    }
    if (bytes[at] === 0x5b) {
      const elements: unknown[] = [];
      const end = readArray(bytes, at, (valueAt) => {
        const element = parse(valueAt);
        elements.push(element.value);
        return element.end;
      });
      return { value: elements, end };
    }
    const end = skipValue(bytes, at);
    return { value: JSON.parse(slice(at, end)) as unknown, end };
  };
  const keep = (at: number): { readonly value: RawJson | null; readonly end: number } => {
    const end = skipValue(bytes, at);
    const text = slice(at, end);
    return { value: text === 'null' ? null : new RawJson(text), end };
  };
  const { value, end } = parse(skipSpace(bytes, 0));
  checkEnd(bytes, end);
  return value;
}

/** Text of a value, kept or not, without white space between tokens. */
export function rawText(value: unknown): string {
  return value instanceof RawJson ? compact(value.text) : JSON.stringify(value);
}

/** Writes what `parseKeeping` has read on one line, with every kept value as it was written. */
export function stringify(value: unknown): string {
  if (value instanceof RawJson) return rawText(value);
  if (Array.isArray(value)) return `[${value.map((one) => (one === undefined ? 'null' : stringify(one))).join(',')}]`;
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${members.map(([key, one]) => `${JSON.stringify(key)}:${stringify(one)}`).join(',')}}`;
}
