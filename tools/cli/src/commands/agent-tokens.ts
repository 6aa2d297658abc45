import type { AgentTokenAnswer, NewAgentTokenAnswer } from '../answers.ts';
import type { Context } from '../context.ts';
import { usage } from '../failure.ts';
import { table, timeText } from '../terminal.ts';

export type AgentTokenOptions = { readonly agent?: string; readonly maxMemory?: string; readonly expires?: string };

const TOKENS = '/v1/agent-tokens';

/** Makes a token by which one agent joins, and shows what to set for it; its secret is not shown again. */
export async function createAgentToken(context: Context, options: AgentTokenOptions): Promise<void> {
  const memoryMb = Number(options.maxMemory ?? 0);
  if (!Number.isInteger(memoryMb) || memoryMb < 0) throw usage('--max-memory is a number of megabytes');
  const made = await context.api.call<NewAgentTokenAnswer>('POST', TOKENS, {
    json: {
      ...(options.agent === undefined ? {} : { agent_id: options.agent }),
      ...(memoryMb === 0 ? {} : { max_capacity_mb: memoryMb }),
      ...(options.expires === undefined ? {} : { time_to_live: options.expires }),
    },
  });
  context.terminal.show(made, ({ agent_token: token, secret, authority_sha256: authority }) => {
    const whose = token.agent_id === null ? 'one agent, whose id is made when it joins' : `the agent ${token.agent_id}`;
    const note = `For ${whose}, until ${timeText(token.expire_time)}, once. The token is not shown again.`;
    return `EVENFALL_AGENT_JOIN_TOKEN=${secret}\nEVENFALL_AGENT_JOIN_CA=${authority}\n${context.terminal.color.dim(note)}`;
  });
}

export async function listAgentTokens(context: Context): Promise<void> {
  const answer = { agent_tokens: await context.api.all<AgentTokenAnswer>(TOKENS, 'agent_tokens') };
  context.terminal.show(answer, ({ agent_tokens: tokens }) => {
    if (tokens.length === 0) return 'There are no agent tokens.';
    const rows = tokens.map((token) => [
      token.id,
      token.agent_id ?? 'any',
      token.max_capacity_mb === null ? '' : `${token.max_capacity_mb} MB`,
      token.used_by_agent_id === null ? '' : `${token.used_by_agent_id} ${timeText(token.use_time)}`,
      token.revoke_time === null ? `until ${timeText(token.expire_time)}` : `revoked ${timeText(token.revoke_time)}`,
    ]);
    return table(['TOKEN', 'FOR', 'AT MOST', 'USED BY', 'STATE'], rows, context.terminal.color);
  });
}

export async function revokeAgentToken(context: Context, id: string): Promise<void> {
  const token = await context.api.call<AgentTokenAnswer>('POST', `${TOKENS}/${encodeURIComponent(id.toWellFormed())}:revoke`);
  context.terminal.show(token, ({ used_by_agent_id: agent }) =>
    agent === null
      ? `Agent token ${id} is revoked.`
      : `Agent token ${id} is revoked. The certificate of ${agent} is not renewed; the one it has is good until it runs out.`,
  );
}
