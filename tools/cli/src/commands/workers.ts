import { visible } from '@evenfall/json-text';
import { setTimeout } from 'node:timers/promises';
import type { AgentAnswer, InstanceAnswer, PutAsideAnswer } from '../answers.ts';
import type { Context } from '../context.ts';
import { stateText, table, timeText } from '../terminal.ts';

const LOOK_MS = 250;

export type DrainOptions = { readonly deadline?: string; readonly wait?: boolean };

export async function listAgents(context: Context): Promise<void> {
  const answer = { agents: await context.api.all<AgentAnswer>('/v1/agents', 'agents') };
  context.terminal.show(answer, (answer) => {
    if (answer.agents.length === 0) return 'No agents are attached.';
    const rows = answer.agents.map((agent) => [
      agent.id,
      `${agent.used_mb}${agent.temporary_mb > 0 ? ` + ${agent.temporary_mb}` : ''} / ${agent.capacity_mb} MB`,
      String(agent.instance_count),
      String(agent.attempt_count),
      timeText(agent.attach_time),
      agent.drain_deadline_time ? `${agent.state} until ${timeText(agent.drain_deadline_time)}` : agent.state,
    ]);
    return table(['AGENT', 'MEMORY', 'INSTANCES', 'ATTEMPTS', 'ATTACHED', 'STATE'], rows, context.terminal.color);
  });
}

/** Has a worker host drained; with `wait` until it holds nothing any more. */
export async function drainAgent(context: Context, id: string, options: DrainOptions): Promise<void> {
  const path = `/v1/agents/${encodeURIComponent(id)}:drain`;
  let agent = await context.api.call<AgentAnswer>('POST', path, {
    json: options.deadline === undefined ? {} : { deadline: options.deadline },
  });
  while (options.wait && agent.instance_count > 0) {
    await setTimeout(LOOK_MS);
    const agents = await context.api.all<AgentAnswer>('/v1/agents', 'agents');
    const found = agents.find((one) => one.id === id);
    if (!found) break; // it has left
    agent = found;
  }
  context.terminal.show(agent, (agent) => {
    const until = agent.drain_deadline_time ? ` until ${timeText(agent.drain_deadline_time)}` : '';
    return `${agent.id} ${agent.state}${until}: ${agent.instance_count} instances, ${agent.attempt_count} attempts`;
  });
}

/** What the hosts of all attached agents can do to keep functions apart, and records of the event log that could not be shown. */
export async function examineAgents(context: Context): Promise<void> {
  const agents = await context.api.all<AgentAnswer>('/v1/agents', 'agents');
  const aside = await context.api.call<{ records: PutAsideAnswer[]; total_size: number }>('GET', '/v1/put-aside-records');
  const { notes = [] } = await context.api.call<{ notes?: string[] }>('GET', '/readyz').catch(() => ({ notes: [] as string[] })); // not ready: said elsewhere
  const answer = { agents, put_aside_records: aside.records, put_aside_total_size: aside.total_size, notes };
  const { color } = context.terminal;
  context.terminal.show(answer, (answer) => {
    const open = answer.notes.map((note) => `${color.yellow('✗')} ${visible(note)}\n\n`).join('');
    const log = `${open}${putAsideText({ records: answer.put_aside_records, total_size: answer.put_aside_total_size }, color)}`;
    if (answer.agents.length === 0) return `No agents are attached.\n\n${log}`;
    const parts = answer.agents.map(({ id, abilities }) => {
      const rows = abilities.map(({ name, available, detail }) => [available ? color.green('✓') : color.yellow('✗'), name, detail]);
      return `${color.bold(`Agent ${id}`)}\n${table(['', 'ABILITY', 'FINDING'], rows, color)}`;
    });
    const advice = 'What to do about what is missing: node services/instance-agent/src/doctor.ts on the host, and docs/guides/isolation.md';
    return `${parts.join('\n\n')}\n\n${color.dim(advice)}\n\n${log}`;
  });
}

/** Records of the event log that could not be folded into the view. */
function putAsideText(
  { records, total_size: total }: { records: PutAsideAnswer[]; total_size: number },
  color: Context['terminal']['color'],
): string {
  if (total === 0) return `${color.bold('Event log')}\n${color.green('✓')} every record could be read`;
  const rows = records
    .slice(0, 10)
    .map((one) => [
      timeText(one.time),
      `${one.partition}/${one.offset}`,
      one.event_id ?? '',
      one.change,
      one.reduced ? 'replaced' : 'left out',
      one.reason,
    ]);
  const list = table(['TIME', 'PLACE', 'EVENT', 'CHANGE', 'WAS', 'WHY'], rows, color);
  return `${color.bold('Event log')}\n${color.yellow('✗')} ${total} records could not be read, and are put aside\n${list}`;
}

export async function listInstances(context: Context, options: { readonly agent?: string }): Promise<void> {
  const answer = { instances: await context.api.all<InstanceAnswer>('/v1/instances', 'instances', { agent_id: options.agent }) };
  const { color } = context.terminal;
  context.terminal.show(answer, (answer) => {
    if (answer.instances.length === 0) return 'No instances.';
    const rows = answer.instances.map((instance) => [
      instance.id,
      `${instance.namespace}/${instance.function}`,
      instance.version,
      stateText(instance.state, color),
      instance.event_id ?? '',
      instance.agent_id,
      timeText(instance.start_time),
    ]);
    return table(['INSTANCE', 'FUNCTION', 'VERSION', 'STATE', 'EVENT', 'AGENT', 'STARTED'], rows, color);
  });
}
