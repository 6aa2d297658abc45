import { createServer } from 'node:net';
import { OperatorError } from '@evenfall/errors';

export type Address = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** What the host and the port are set by. */
  readonly hostSetting: string;
  readonly portSetting: string;
};

/** Rejects with an `OperatorError` if an address cannot be listened on. Asked first, it costs no start of anything else to find out. */
export async function checkAddress({ host, port, hostSetting, portSetting }: Address): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host.replace(/^\[(.*)\]$/, '$1'), resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw new OperatorError(
      sentences[code]?.(host, port, hostSetting, portSetting) ?? `Cannot listen on ${host}:${port}: ${String(cause)}`,
      {
        cause,
      },
    );
  }
}

type Sentence = (host: string, port: number, hostSetting: string, portSetting: string) => string;
const noSuchHost: Sentence = (host, _, setting) => `${host} is no address of this machine. Set ${setting} to one that is.`;
const sentences: Readonly<Record<string, Sentence>> = {
  EADDRINUSE: (host, port, _, setting) =>
    `Port ${port} of ${host} is taken by another program. Stop it, or set ${setting} to another port (0 picks a free one).`,
  EACCES: (_, port, __, setting) => `This user may not listen on port ${port}. Set ${setting} to one from 1024 on.`,
  EADDRNOTAVAIL: noSuchHost,
  ENOTFOUND: noSuchHost,
  EAI_AGAIN: noSuchHost,
};
