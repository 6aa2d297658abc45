/** An enum as ts-proto makes it: names to numbers. */
export type ProtoEnum = Readonly<Record<string, number>>;

/** The names of an enum that callers write and read. */
export type EnumName<E extends ProtoEnum> = Exclude<keyof E & string, 'UNSPECIFIED' | 'UNRECOGNIZED'>;

/** The name of a value; undefined for UNSPECIFIED and for a value that this release does not know. */
export function nameOf<E extends ProtoEnum>(values: E, value: number): EnumName<E> | undefined {
  let names = namesByEnum.get(values);
  if (!names) {
    names = new Map(namesIn(values).map((name) => [values[name] ?? -1, name]));
    namesByEnum.set(values, names);
  }
  return names.get(value) as EnumName<E> | undefined; // the map of this enum holds its names only
}

/** The names that callers may write. */
export function namesIn<E extends ProtoEnum>(values: E): EnumName<E>[] {
  return Object.keys(values).filter((name): name is EnumName<E> => name !== 'UNSPECIFIED' && name !== 'UNRECOGNIZED');
}

/** The value of a name that a schema has checked; UNSPECIFIED without one. */
export function valueOf<E extends ProtoEnum>(values: E, name: string | undefined): E[keyof E] {
  return values[name ?? 'UNSPECIFIED'] as E[keyof E]; // schemas accept the enum's names only
}

const namesByEnum = new Map<ProtoEnum, Map<number, string>>();
