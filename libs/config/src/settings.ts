import { OperatorError } from '@evenfall/errors';

/** One setting: how it is written, what it means, and how it is read. */
export type Setting<T> = {
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

export type Settings = Readonly<Record<string, Setting<unknown>>>;

export type SettingsOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** Every fault of the environment at once. */
export class SettingsError extends OperatorError {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`The settings are not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'SettingsError';
    this.faults = faults;
  }
}

/** What several settings must be together. */
export type SettingsCheck<S extends Settings> = {
  /** Those it looks at; it is left out if one of them has a fault of its own. */
  readonly of: readonly (keyof S & string)[];
  /** A fault in words, or undefined. */
  fault(values: SettingsOf<S>): string | undefined;
};

/** What examples have in the place of a secret. */
const PLACEHOLDER = /(?<![a-z])change[-_ ]?me(?![a-z])/i;

/** Reads one setting. A secret that is a placeholder of an example is a fault: it is public. */
export function readSetting<T>(setting: Setting<T>, text: string): ReturnType<Setting<T>['parse']> {
  if (setting.secret === true && PLACEHOLDER.test(text)) return { fault: 'the placeholder of an example, which is no secret' };
  return setting.parse(text);
}

/** Reads all settings, or throws a `SettingsError` that lists every fault of each and of all together. */
export function readSettings<S extends Settings>(
  settings: S,
  env: Readonly<Record<string, string | undefined>>,
  checks: readonly SettingsCheck<S>[] = [],
): SettingsOf<S> {
  const faulty = new Set<string>();
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settings)) {
    const given = env[setting.name];
    const text = given === undefined || given === '' ? setting.fallback : given;
    if (text === undefined) continue;
    const result = readSetting(setting, text);
    if ('value' in result) values[key] = result.value;
    else {
      faulty.add(key);
      faults.push(`${setting.name}=${setting.secret ? '(hidden)' : JSON.stringify(text)}: ${result.fault}; write ${setting.form}`);
    }
  }
  for (const check of checks) {
    // Whatever it looks at was read, or may be left out.
    const fault = check.of.some((key) => faulty.has(key)) ? undefined : check.fault(values as SettingsOf<S>);
    if (fault !== undefined) faults.push(fault);
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return values as SettingsOf<S>;
}
