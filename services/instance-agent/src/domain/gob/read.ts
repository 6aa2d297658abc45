import { BASIC } from './write.ts';

/** What came: structs as objects by field name, lists as arrays; a field that was left out had its zero value. */
export type GobRead = boolean | number | bigint | string | Buffer | readonly GobRead[] | { readonly [field: string]: GobRead };

/** Thrown for bytes that are no gob, or use a type that is not accepted here. Caught by the reader alone. */
export class GobFault extends Error {}

type WireType =
  | { readonly kind: 'struct'; readonly fields: readonly { readonly name: string; readonly typeId: number }[] }
  | { readonly kind: 'slice'; readonly element: number };

/** Limits against hostile bytes; what is sent here needs a fraction of each. */
const MAX_TYPES = 64;
const MAX_FIELDS = 256;
const MAX_DEPTH = 16;
const MAX_VALUES = 100_000;

const TRUNCATED = 'it ends in the middle of a value';

/** Reads the content of messages: definitions of types, which are remembered, and values. */
export type GobReader = {
  /** The value that a message carries; undefined for a definition. Throws GobFault. */
  read(content: Buffer): GobRead | undefined;
};

/** One per connection: definitions are sent once. Only structs, slices and basic types are accepted. */
export function gobReader(): GobReader {
  const types = new Map<number, WireType>();
  return {
    read(content) {
      const at = cursor(content);
      const typeId = at.int();
      if (typeId < 0) {
        if (types.size >= MAX_TYPES) throw new GobFault('it defines too many types');
        types.set(-typeId, readDefinition(at));
        return undefined;
      }
      const isStruct = types.get(typeId)?.kind === 'struct';
      if (!isStruct && at.uint() !== 0) throw new GobFault('a value that is no struct begins with 0');
      return readValue(at, types, typeId, 0);
    },
  };
}

type Cursor = { uint(): number; int(): number; wide(): bigint; bytes(): Buffer; count(max: number): number; value(): void };

function cursor(content: Buffer): Cursor {
  let at = 0;
  let values = 0;
  const wide = (): bigint => {
    const first = content[at++];
    if (first === undefined) throw new GobFault(TRUNCATED);
    if (first < 128) return BigInt(first);
    const length = 256 - first;
    if (length > 8) throw new GobFault('a number has more than 8 bytes');
    if (at + length > content.length) throw new GobFault(TRUNCATED);
    let value = 0n;
    for (let i = 0; i < length; i++) value = (value << 8n) | BigInt(content[at++] ?? 0);
    return value;
  };
  const small = (value: bigint): number => {
    if (value > 0x7fffffffn || value < -0x80000000n) throw new GobFault('a number is too large');
    return Number(value);
  };
  const uint = (): number => small(wide());
  return {
    uint,
    wide,
    int() {
      const raw = wide();
      return small(raw & 1n ? ~(raw >> 1n) : raw >> 1n);
    },
    bytes() {
      const length = uint();
      if (at + length > content.length) throw new GobFault(TRUNCATED);
      return content.subarray(at, (at += length));
    },
    count(max) {
      const count = uint();
      if (count > max || count > content.length - at) throw new GobFault('a list is longer than what holds it');
      return count;
    },
    value() {
      if (++values > MAX_VALUES) throw new GobFault('it holds too many values');
    },
  };
}

/** Calls back for each field that was sent, by its number. */
function eachField(at: Cursor, onField: (index: number) => void): void {
  let index = -1;
  for (;;) {
    const delta = at.uint();
    if (delta === 0) return;
    index += delta;
    if (index > MAX_FIELDS) throw new GobFault('a struct has too many fields');
    at.value();
    onField(index);
  }
}

const UNKNOWN = (): never => {
  throw new GobFault('a definition has an unknown field');
};

/** A `wireType`: which of its fields is sent says what kind of type it is. */
function readDefinition(at: Cursor): WireType {
  let found: WireType | undefined;
  eachField(at, (kind) => {
    if (kind === 1) found = readSlice(at);
    else if (kind === 2) found = readStruct(at);
    else throw new GobFault('it defines an array, a map or a type with an encoding of its own');
  });
  if (!found) throw new GobFault('a definition defines nothing');
  return found;
}

/** Name and id of a type: both are known from elsewhere. */
function skipCommon(at: Cursor): void {
  eachField(at, (part) => {
    if (part === 0) at.bytes();
    else if (part === 1) at.int();
    else UNKNOWN();
  });
}

function readSlice(at: Cursor): WireType {
  let element = 0;
  eachField(at, (index) => {
    if (index === 0) skipCommon(at);
    else if (index === 1) element = at.int();
    else UNKNOWN();
  });
  return { kind: 'slice', element };
}

function readStruct(at: Cursor): WireType {
  const fields: { readonly name: string; readonly typeId: number }[] = [];
  eachField(at, (index) => {
    if (index === 0) return skipCommon(at);
    if (index !== 1) UNKNOWN();
    for (let left = at.count(MAX_FIELDS); left > 0; left--) {
      let name = '';
      let typeId = 0;
      eachField(at, (part) => {
        if (part === 0) name = at.bytes().toString('utf8');
        else if (part === 1) typeId = at.int();
        else UNKNOWN();
      });
      fields.push({ name, typeId });
    }
  });
  return { kind: 'struct', fields };
}

function readValue(at: Cursor, types: ReadonlyMap<number, WireType>, typeId: number, depth: number): GobRead {
  at.value();
  if (depth > MAX_DEPTH) throw new GobFault('it is nested too deeply');
  switch (typeId) {
    case BASIC.bool:
      return at.uint() === 1;
    case BASIC.int:
      return at.int();
    case BASIC.uint:
      return at.wide();
    case BASIC.bytes:
      return at.bytes();
    case BASIC.string:
      return at.bytes().toString('utf8');
  }
  const type = types.get(typeId);
  if (!type) throw new GobFault(`it has a value of type ${typeId}, which is not defined`);
  if (type.kind === 'slice') {
    const items: GobRead[] = [];
    for (let left = at.count(MAX_VALUES); left > 0; left--) items.push(readValue(at, types, type.element, depth + 1));
    return items;
  }
  // Without a prototype: the names come from the other side.
  const value = Object.create(null) as Record<string, GobRead>;
  eachField(at, (index) => {
    const field = type.fields[index];
    if (!field) throw new GobFault('a struct has a field it did not define');
    value[field.name] = readValue(at, types, field.typeId, depth + 1);
  });
  return value;
}
