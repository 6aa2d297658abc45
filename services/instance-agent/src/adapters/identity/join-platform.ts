import { readFile } from 'node:fs/promises';
import { OperatorError } from '@evenfall/errors';
import type { TlsFiles } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import { delay } from '@evenfall/time';
import { requestToJoin } from './request-to-join.ts';
import { identityFiles, keepIdentity, keepRequest, keptIdentity, pendingRequest } from './identity-files.ts';

export type JoinSettings = {
  /** Folder of the certificate. */
  readonly dir: string;
  readonly agentId: string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly authoritySha256: string | undefined;
  readonly address: string;
};

const PAUSE_MS = 2_000;

/**
 * The files of the certificate that this agent has got by a token, or gets now; undefined if it has none and no token. Waits while the registry does
 * not answer. Throws an `OperatorError` where it will not do.
 */
export async function joinPlatform(
  settings: JoinSettings,
  log: Log,
  signal: AbortSignal,
  nowMs: () => number,
): Promise<TlsFiles | undefined> {
  const { dir, agentId = '', address, authoritySha256 } = settings;
  const kept = keptIdentity(dir);
  if (kept && kept.expiresMs > nowMs()) return identityFiles(dir);
  const token = settings.token ?? (settings.tokenFile === undefined ? undefined : (await readFile(settings.tokenFile, 'utf8')).trim());
  if (token === undefined || authoritySha256 === undefined) {
    if (!kept && authoritySha256 === undefined) return undefined;
    const why = kept
      ? `The certificate in ${dir} has run out at ${new Date(kept.expiresMs).toISOString()}`
      : `There is no certificate in ${dir} yet`;
    throw new OperatorError(`${why}: start the agent with a new token, in EVENFALL_AGENT_JOIN_TOKEN, and EVENFALL_AGENT_JOIN_CA.`);
  }
  const { makeSigningRequest } = await import('@evenfall/certificates'); // not loaded by agents that need it not
  const asked = pendingRequest(dir) ?? (await makeSigningRequest());
  keepRequest(dir, asked);
  for (let isLogged = false; ; isLogged = true) {
    try {
      const joined = await requestToJoin({ address, authoritySha256, token, signingRequest: asked.request, agentId });
      keepIdentity(dir, { ...joined, key: asked.key });
      log.info('This agent has joined', { agent_id: joined.agentId });
      return identityFiles(dir);
    } catch (error) {
      if (error instanceof OperatorError) throw error;
      if (!isLogged) log.warn('waiting for a dependency', { name: `the registry's join port at ${address}`, why: String(error) });
      if (!(await delay(PAUSE_MS, signal))) throw error;
    }
  }
}
