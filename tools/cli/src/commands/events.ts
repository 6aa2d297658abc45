import type { CountAnswer, EventAnswer, EventPageAnswer } from '../answers.ts';
import { type Context, eventPath, functionPath } from '../context.ts';
import { usage } from '../failure.ts';
import { changeText, countsText, eventsText, eventText } from '../format/event-text.ts';
import { changesOf, untilEnded } from './watching.ts';

export type ListOptions = {
  readonly state?: readonly string[];
  readonly qualifier?: string;
  readonly limit: string;
  readonly order?: string;
  readonly orderBy?: string;
  readonly pageToken?: string;
  readonly total?: boolean;
};

export async function listEvents(context: Context, name: string, options: ListOptions): Promise<void> {
  const page = await context.api.call<EventPageAnswer>('GET', `${functionPath(context.namespace, name)}/events`, {
    query: {
      state: options.state?.map((state) => state.toUpperCase()),
      qualifier: options.qualifier,
      page_size: options.limit,
      order: options.order,
      order_by: options.orderBy,
      page_token: options.pageToken,
      show_total_size: options.total ? 'true' : undefined,
    },
  });
  const { color } = context.terminal;
  context.terminal.show(page, (page) =>
    [
      eventsText(page.events, color),
      ...(page.total_size === undefined ? [] : [color.dim(`${page.total_size_is_estimate ? 'about ' : ''}${page.total_size} in all`)]),
      ...(page.next_page_token ? [color.dim(`more: --page-token ${page.next_page_token}`)] : []),
    ].join('\n'),
  );
}

/** Counts by state: of a function, or of all of the namespace. */
export async function countEvents(context: Context, name: string | undefined): Promise<void> {
  const path = name === undefined ? `/v1/namespaces/${encodeURIComponent(context.namespace)}` : functionPath(context.namespace, name);
  const answer = await context.api.call<{ counts: CountAnswer[] }>('GET', `${path}/events:count`);
  context.terminal.show(answer, ({ counts }) => countsText(counts, context.terminal.color));
}

export async function getEvent(context: Context, id: string): Promise<void> {
  const event = await context.api.call<EventAnswer>('GET', eventPath(id));
  context.terminal.show(event, (seen) => eventText(seen, context.terminal.color));
}

/** Shows every change; as JSON one line each. */
export async function watchEvent(context: Context, id: string): Promise<void> {
  for await (const event of changesOf(context.api, id)) context.terminal.show(event, (seen) => changeText(seen, context.terminal.color));
}

export type TerminateOptions = {
  readonly graceful?: boolean;
  readonly signal?: string;
  readonly grace?: string;
  /** Steps as "SIGINT:2s", in order. */
  readonly escalation?: readonly string[];
  /** "main" or "group". */
  readonly scope?: string;
  readonly reason?: string;
  readonly wait?: boolean;
};

export async function terminateEvent(context: Context, id: string, options: TerminateOptions): Promise<void> {
  const { signal, grace, escalation, scope } = options;
  if (!options.graceful && [signal, grace, escalation, scope].some((option) => option !== undefined))
    throw usage('--signal, --grace, --escalation and --scope go with --graceful');
  const asked = await context.api.call<EventAnswer>('POST', `${eventPath(id)}:terminate`, {
    json: {
      graceful: options.graceful ?? false,
      ...(signal === undefined ? {} : { kill_signal: signalName(signal) }),
      ...(grace === undefined ? {} : { grace_period: grace }),
      ...(escalation === undefined ? {} : { escalation: escalation.map(stepOf) }),
      ...(scope === undefined ? {} : { signal_scope: scopeName(scope) }),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    },
  });
  const event = options.wait ? await untilEnded(context.api, id) : asked;
  context.terminal.show(event, (seen) => eventText(seen, context.terminal.color));
}

function signalName(text: string): string {
  const name = text.toUpperCase();
  return name.startsWith('SIG') ? name : `SIG${name}`;
}

function stepOf(text: string): { readonly signal: string; readonly wait: string } {
  const [signal = '', wait = '', ...more] = text.split(':');
  if (signal === '' || wait === '' || more.length > 0)
    throw usage(`"${text}" is no step; write a signal and how long to wait, like SIGINT:2s`);
  return { signal: signalName(signal), wait };
}

function scopeName(text: string): string {
  const name = text.toUpperCase();
  if (name !== 'MAIN' && name !== 'GROUP') throw usage(`"${text}" is no scope; write main or group`);
  return name;
}
