/** Types of Go's encoding/gob that need no definition. */
export const BASIC = { bool: 1, int: 2, uint: 3, bytes: 5, string: 6 } as const;

/** A field of a struct: its name and the id of its type, basic or of another struct. */
export type StructField = readonly [name: string, typeId: number];
export type StructType = { readonly id: number; readonly name: string; readonly fields: readonly StructField[] };
export type GobValue = boolean | number | bigint | string | Buffer | { readonly [field: string]: GobValue };

/** One byte below 128; else the negated count of bytes, then the bytes, most significant first. */
export function gobUint(value: number | bigint): Buffer {
  let rest = BigInt(value);
  if (rest < 128n) return Buffer.from([Number(rest)]);
  const bytes: number[] = [];
  for (; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 255n));
  return Buffer.from([256 - bytes.length, ...bytes]);
}

/** The sign moves to the lowest bit; a negative number is complemented. */
export function gobInt(value: number | bigint): Buffer {
  const integer = BigInt(value);
  return gobUint(integer < 0n ? (~integer << 1n) | 1n : integer << 1n);
}

function gobBytes(value: string | Buffer): Buffer[] {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return [gobUint(bytes.length), bytes];
}

/** A message: its length, then its content. */
export function gobMessage(content: readonly Buffer[]): Buffer[] {
  const bytes = content.reduce((sum, part) => sum + part.length, 0);
  return [gobUint(bytes), ...content];
}

/**
 * The message that defines a struct: a `wireType` whose third field, StructT, holds the CommonType (name and id) and the fields. Every number
 * before a value is how far its field lies behind the last one that was written; 0 ends a struct.
 */
export function gobDefinition({ id, name, fields }: StructType): Buffer[] {
  const list = fields.flatMap(([field, typeId]) => [gobUint(1), ...gobBytes(field), gobUint(1), gobInt(typeId), gobUint(0)]);
  const common = [gobUint(1), ...gobBytes(name), gobUint(1), gobInt(id), gobUint(0)];
  const struct = [gobUint(1), ...common, ...(fields.length === 0 ? [] : [gobUint(1), gobUint(fields.length), ...list]), gobUint(0)];
  return gobMessage([gobInt(-id), gobUint(3), ...struct, gobUint(0)]);
}

/** The message that carries a struct. */
export function gobStruct(type: StructType, value: Readonly<Record<string, GobValue>>, types: ReadonlyMap<number, StructType>): Buffer[] {
  return gobMessage([gobInt(type.id), ...fieldsOf(type, value, types)]);
}

function fieldsOf(type: StructType, value: Readonly<Record<string, GobValue>>, types: ReadonlyMap<number, StructType>): Buffer[] {
  const parts: Buffer[] = [];
  let last = -1;
  type.fields.forEach(([name, typeId], index) => {
    const field = value[name];
    if (field === undefined || isZero(field)) return;
    parts.push(gobUint(index - last), ...valueOf(field, typeId, types));
    last = index;
  });
  parts.push(gobUint(0));
  return parts;
}

function valueOf(value: GobValue, typeId: number, types: ReadonlyMap<number, StructType>): Buffer[] {
  if (typeof value === 'boolean') return [gobUint(value ? 1 : 0)];
  if (typeof value === 'number' || typeof value === 'bigint') return [typeId === BASIC.int ? gobInt(value) : gobUint(value)];
  if (typeof value === 'string' || Buffer.isBuffer(value)) return gobBytes(value);
  const struct = types.get(typeId);
  if (!struct) throw new Error(`gob type ${typeId} is not defined`);
  return fieldsOf(struct, value, types);
}

/** Zero values are left out, as Go does. */
function isZero(value: GobValue): boolean {
  if (Buffer.isBuffer(value) || typeof value === 'string') return value.length === 0;
  return value === 0 || value === 0n || value === false;
}
