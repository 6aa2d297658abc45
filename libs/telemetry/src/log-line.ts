const HEAD = ['time', 'level', 'service', 'message'];

/** A JSON line of the log as text for a terminal: `time level service message key=value …`. */
export function lineOf(json: string): string {
  const fields: Readonly<Record<string, unknown>> = JSON.parse(json) as Record<string, unknown>; // written by pino: always an object
  const head = HEAD.map((key) => String(fields[key])).join(' ');
  const rest = Object.entries(fields).filter(([key]) => !HEAD.includes(key));
  return [head, ...rest.map(([key, value]) => `${key}=${quote(String(value))}`)].join(' ');
}

function quote(text: string): string {
  return /^[\w.:/@$+-]+$/.test(text) ? text : JSON.stringify(text);
}
