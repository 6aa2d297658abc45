import { fileURLToPath } from 'node:url';
import { rawText } from '@evenfall/json-text';
import type { ApiClient } from '../api-client.ts';
import { type EventAnswer, hasEnded, type LogLineAnswer } from '../answers.ts';
import { deployFolder } from '../commands/deploy.ts';
import { followLog, linesOf } from '../commands/logs.ts';
import { changesOf } from '../commands/watching.ts';
import { eventPath, functionPath } from '../context.ts';
import { Failure } from '../failure.ts';

const SAMPLE = fileURLToPath(new URL('../../../../examples/functions/graceful-killer', import.meta.url));
const NAMESPACE = 'default';

/** One moment of the story. */
export type Moment = { readonly time: string; readonly what: string };

/** All that happened. */
export type Story = { readonly event: EventAnswer; readonly timeline: readonly Moment[]; readonly log: readonly LogLineAnswer[] };

/** Deploys the sample, lets it run, and terminates it gracefully; prints each step as it happens. */
export async function playStory(api: ApiClient, print: (line: string) => void): Promise<Story> {
  const { fn, created } = await deployFolder({ api, namespace: NAMESPACE }, SAMPLE, { publish: false, withNodeModules: false });
  print(`${created ? 'deployed' : 'updated'} ${fn.namespace}/${fn.name}`);
  const accepted = await api.call<EventAnswer>('POST', `${functionPath(NAMESPACE, fn.name)}/events`, { json: { hello: 'evening' } });
  print(`submitted event ${accepted.id}`);
  await untilRunning(api, accepted.id);
  print('it runs');
  const line = await firstOwnLine(api, accepted.id);
  print(`it wrote ${JSON.stringify(line)}`);
  await api.call('POST', `${eventPath(accepted.id)}:terminate`, { json: { graceful: true, reason: 'the demo is over' } });
  print('requested its termination');
  let event = accepted;
  for await (const change of changesOf(api, accepted.id)) event = change;
  print(`it ended ${event.state} with ${event.status_code}`);
  const log: LogLineAnswer[] = [];
  for await (const one of linesOf(api, event.id)) log.push(one);
  return { event, timeline: timelineOf(event), log };
}

/** Whether the story ended as it should: the function came to its own end after the signal, and its answer was kept. */
export function endedWell({ event }: Story): boolean {
  return event.state === 'TERMINATED' && event.status_code === 200 && rawText(event.result) === '"END"';
}

async function untilRunning(api: ApiClient, id: string): Promise<void> {
  for await (const event of changesOf(api, id)) {
    if (event.state === 'RUNNING') return;
    if (hasEnded(event))
      throw new Failure(`The event ended ${event.state} with ${event.status_code} before it ran: ${rawText(event.error)}`);
  }
}

async function firstOwnLine(api: ApiClient, id: string): Promise<string> {
  for await (const line of followLog(api, id)) if (line.stream === 'STDOUT') return line.text;
  throw new Failure('The event ended without a line of its own.');
}

function timelineOf(event: EventAnswer): Moment[] {
  const moments: (Moment | undefined)[] = [at(event.create_time, 'accepted')];
  for (const attempt of event.attempts) {
    moments.push(at(attempt.start_time, `attempt ${attempt.number} started (${attempt.cold_start ? 'cold' : 'warm'})`));
    moments.push(at(attempt.end_time, `attempt ${attempt.number} ended: ${attempt.outcome ?? 'unknown'} ${attempt.status_code}`));
  }
  const receipt = event.termination;
  if (receipt) {
    moments.push(at(receipt.request_time, `termination asked for by ${receipt.requester}`));
    for (const step of receipt.steps) moments.push(at(step.sent_time, `${step.signal} sent: ${step.disposition}, ${step.delivery}`));
  }
  moments.push(at(event.end_time, event.state));
  return moments.filter((moment) => moment !== undefined).sort((a, b) => Date.parse(a.time) - Date.parse(b.time)); // stable: equal times stay in order
}

function at(time: string | null, what: string): Moment | undefined {
  return time === null ? undefined : { time, what };
}
