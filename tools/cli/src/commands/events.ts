import type { EventAnswer } from '../answers.ts';
import { type Context, eventPath, functionPath } from '../context.ts';
import { usage } from '../failure.ts';
import { changeText, eventsText, eventText } from '../format/event-text.ts';
import { changesOf, untilEnded } from './watching.ts';

export type ListOptions = {
  readonly state?: readonly string[];
  readonly qualifier?: string;
  readonly limit: string;
  readonly order?: string;
  readonly orderBy?: string;
  readonly pageToken?: string;
};

export async function listEvents(context: Context, name: string, options: ListOptions): Promise<void> {
  const page = await context.api.call<{ events: EventAnswer[]; next_page_token: string }>(
    'GET',
    `${functionPath(context.namespace, name)}/events`,
    {
      query: {
        state: options.state?.map((state) => state.toUpperCase()),
        qualifier: options.qualifier,
        page_size: options.limit,
        order: options.order,
        order_by: options.orderBy,
        page_token: options.pageToken,
      },
    },
  );
  const { color } = context.terminal;
  context.terminal.show(
    page,
    () => `${eventsText(page.events, color)}${page.next_page_token ? `\n${color.dim(`more: --page-token ${page.next_page_token}`)}` : ''}`,
  );
}

export async function getEvent(context: Context, id: string): Promise<void> {
  const event = await context.api.call<EventAnswer>('GET', eventPath(id));
  context.terminal.show(event, () => eventText(event, context.terminal.color));
}

/** Shows every change; as JSON one line each. */
export async function watchEvent(context: Context, id: string): Promise<void> {
  for await (const event of changesOf(context.api, id)) context.terminal.show(event, () => changeText(event, context.terminal.color));
}

export type TerminateOptions = {
  readonly graceful?: boolean;
  readonly signal?: string;
  readonly grace?: string;
  readonly reason?: string;
  readonly wait?: boolean;
};

export async function terminateEvent(context: Context, id: string, options: TerminateOptions): Promise<void> {
  if (!options.graceful && (options.signal !== undefined || options.grace !== undefined))
    throw usage('--signal and --grace go with --graceful');
  const signal = options.signal?.toUpperCase();
  const asked = await context.api.call<EventAnswer>('POST', `${eventPath(id)}:terminate`, {
    json: {
      graceful: options.graceful ?? false,
      ...(signal === undefined ? {} : { kill_signal: signal.startsWith('SIG') ? signal : `SIG${signal}` }),
      ...(options.grace === undefined ? {} : { grace_period: options.grace }),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    },
  });
  const event = options.wait ? await untilEnded(context.api, id) : asked;
  context.terminal.show(event, () => eventText(event, context.terminal.color));
}
