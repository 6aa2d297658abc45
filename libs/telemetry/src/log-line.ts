/** What every line has; no field has such a name. */
export const HEAD = ['time', 'level', 'service', 'message'] as const;

/** A JSON line of the log as text for a terminal: `time level service message key=value …`. */
export function lineOf(json: string): string {
  // A number keeps its digits: that of a bigint may have more than a number of JavaScript can hold. Written by pino: always an object.
  const fields = JSON.parse(json, digits) as Readonly<Record<string, unknown>>;
  const head = HEAD.map((key) => String(fields[key])).join(' ');
  const rest = Object.entries(fields).filter(([key]) => !(HEAD as readonly string[]).includes(key));
  return [head, ...rest.map(([key, value]) => `${key}=${quote(String(value))}`)].join(' ');
}

function digits(_key: string, value: unknown, { source }: { readonly source?: string } = {}): unknown {
  return typeof value === 'number' ? (source ?? value) : value;
}

function quote(text: string): string {
  return /^[\w.:/@$+-]+$/.test(text) ? text : JSON.stringify(text);
}
