/** An enum as ts-proto makes it: names to numbers. */
export type ProtoEnum = Readonly<Record<string, number>>;

/** The name of a value; undefined for UNSPECIFIED and for what is not known. */
export function nameOf(values: ProtoEnum, value: number): string | undefined {
  let names = namesByEnum.get(values);
  if (!names) {
    names = new Map(namesIn(values).map((name) => [values[name] ?? -1, name]));
    namesByEnum.set(values, names);
  }
  return names.get(value);
}

/** The names that may be written. */
export function namesIn(values: ProtoEnum): string[] {
  return Object.keys(values).filter((name) => name !== 'UNSPECIFIED' && name !== 'UNRECOGNIZED');
}

/** The value of a name that a schema has let through; UNSPECIFIED without one. */
export function valueOf<E extends ProtoEnum>(values: E, name: string | undefined): E[keyof E] {
  return values[name ?? 'UNSPECIFIED'] as E[keyof E]; // schemas take no other names than the enum's
}

const namesByEnum = new Map<ProtoEnum, Map<number, string>>();
