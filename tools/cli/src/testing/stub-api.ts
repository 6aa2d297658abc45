import { createServer, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { runCommand } from '../run.ts';

/** One request to the stub. */
export type Asked = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly bytes: Buffer;
};
/** What it answers: JSON, JSON text, or server-sent events, after which the connection may break. */
export type Answer = {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly stream?: string;
  readonly broken?: boolean;
};

/** A stub of the REST API with answers of the test. */
export type StubApi = { readonly url: string; readonly asked: Asked[]; close(): void };

export async function stubApi(answer: (asked: Asked) => Answer): Promise<StubApi> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((bytes) => {
      const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: bytes.toString('utf8'), bytes };
      asked.push(one);
      const { status = 200, json, stream, broken = false, text = json === undefined ? undefined : JSON.stringify(json) } = answer(one);
      if (stream !== undefined && broken) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(stream, () => setImmediate(() => response.destroy()));
      } else if (stream !== undefined) response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream);
      else if (text === undefined) response.writeHead(204).end();
      else response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What a command came to. */
export type Ran = { readonly code: number; readonly out: string; readonly err: string };

/** Runs a command as the terminal would. */
export async function run(
  url: string,
  args: readonly string[],
  more: {
    readonly env?: Record<string, string>;
    readonly ownDataDir?: string;
    readonly stdin?: string | Buffer;
    readonly isTerminal?: boolean;
  } = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await runCommand(args, {
    env: { EVENFALL_URL: url, ...more.env },
    ownDataDir: more.ownDataDir ?? '/nonexistent',
    stdout: (line) => void (out += line),
    stderr: (line) => void (err += line),
    readStdin: () => Promise.resolve(Buffer.from(more.stdin ?? '')),
    stdinHasPayload: more.stdin !== undefined,
    stdoutIsTerminal: more.isTerminal ?? false,
  });
  return { code, out, err };
}
