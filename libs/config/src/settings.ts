/** One setting: how it is written, what it means, and how it is read. */
export type SettingSpec<T> = {
  /** Name of the environment variable. */
  readonly name: string;
  /** One sentence for `docs/reference/settings.md`. */
  readonly doc: string;
  /** What may be written, in words. */
  readonly form: string;
  /** Text taken when the variable is unset or empty; undefined makes the setting optional. */
  readonly fallback: string | undefined;
  /** Whether its value must not be shown. */
  readonly secret?: boolean;
  /** Reads the text, or returns a fault in words. */
  parse(text: string): { readonly value: T } | { readonly fault: string };
};

export type SettingSpecs = Readonly<Record<string, SettingSpec<unknown>>>;

export type SettingsOf<S extends SettingSpecs> = { readonly [K in keyof S]: S[K] extends SettingSpec<infer T> ? T : never };

/** Every fault of the environment at once. */
export class SettingsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`The settings are not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'SettingsError';
    this.faults = faults;
  }
}

/** Reads all settings, or throws a `SettingsError` that lists every fault. */
export function readSettings<S extends SettingSpecs>(specs: S, env: Readonly<Record<string, string | undefined>>): SettingsOf<S> {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(specs)) {
    const given = env[spec.name];
    const text = given === undefined || given === '' ? spec.fallback : given;
    if (text === undefined) continue;
    const result = spec.parse(text);
    if ('value' in result) values[key] = result.value;
    else faults.push(`${spec.name}=${spec.secret ? '(hidden)' : JSON.stringify(text)}: ${result.fault}; write ${spec.form}`);
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return values as SettingsOf<S>;
}
