import type { ApiClient } from './api-client.ts';
import type { Terminal } from './terminal.ts';

/** What every command is given. */
export type Context = {
  readonly api: ApiClient;
  readonly terminal: Terminal;
  readonly namespace: string;
  /** Reads standard input to its end. */
  readonly readStdin: () => Promise<Uint8Array>;
  /** Whether standard input was handed over on purpose: a file, or a shell's pipe. */
  readonly stdinHasPayload: boolean;
};

/** The path of a function, with its name made safe. */
export function functionPath(namespace: string, name?: string): string {
  const functions = `/v1/namespaces/${encodeURIComponent(namespace)}/functions`;
  return name === undefined ? functions : `${functions}/${encodeURIComponent(name)}`;
}

export function eventPath(id: string): string {
  return `/v1/events/${encodeURIComponent(id.toWellFormed())}`;
}
