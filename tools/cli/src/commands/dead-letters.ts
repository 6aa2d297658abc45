import type { DeadLetterAnswer, EventAnswer } from '../answers.ts';
import { type Context, functionPath } from '../context.ts';
import { deadLettersText, deadLetterText } from '../format/dead-letter-text.ts';
import { eventText } from '../format/event-text.ts';

type Page = { readonly dead_letters: readonly DeadLetterAnswer[]; readonly next_page_token: string };

const pathOf = (id: string): string => `/v1/dead-letters/${encodeURIComponent(id.toWellFormed())}`;

export async function listDeadLetters(
  context: Context,
  name: string,
  options: { readonly limit: string; readonly pageToken?: string },
): Promise<void> {
  const page = await pageOf(context, name, options.limit, options.pageToken);
  const { color } = context.terminal;
  context.terminal.show(page, ({ dead_letters: letters, next_page_token: token }) => {
    const more = token ? `\n${color.dim(`more: --page-token ${token}`)}` : '';
    return `${deadLettersText(letters, color)}${more}`;
  });
}

export async function getDeadLetter(context: Context, id: string): Promise<void> {
  const letter = await context.api.call<DeadLetterAnswer>('GET', pathOf(id));
  context.terminal.show(letter, (seen) => deadLetterText(seen, context.terminal.color));
}

/** Tries one dead letter again; shows the new event. */
export async function redriveDeadLetter(context: Context, id: string): Promise<void> {
  const event = await context.api.call<EventAnswer>('POST', `${pathOf(id)}:redrive`);
  context.terminal.show(event, (seen) => eventText(seen, context.terminal.color));
}

export async function purgeDeadLetter(context: Context, id: string): Promise<void> {
  await context.api.call('DELETE', pathOf(id));
  context.terminal.show({ id, purged: true }, () => `Dead letter ${id} is thrown away.`);
}

/** Does the same to every dead letter a function has now, page by page, and counts. */
export async function allDeadLetters(context: Context, name: string, what: 'redrive' | 'purge'): Promise<void> {
  let count = 0;
  for (let page = await pageOf(context, name, '100'); page.dead_letters.length > 0; page = await pageOf(context, name, '100')) {
    for (const { event } of page.dead_letters) {
      if (what === 'redrive') await context.api.call('POST', `${pathOf(event.id)}:redrive`);
      else await context.api.call('DELETE', pathOf(event.id));
      count++;
    }
    if (page.next_page_token === '') break; // what fails again meanwhile is not of this round
  }
  const done = what === 'redrive' ? 'redriven' : 'thrown away';
  context.terminal.show(
    { function: name, [what === 'redrive' ? 'redriven' : 'purged']: count },
    () => `${count} dead letters of ${name} ${done}.`,
  );
}

function pageOf(context: Context, name: string, limit: string, token?: string): Promise<Page> {
  return context.api.call<Page>('GET', `${functionPath(context.namespace, name)}/dead-letters`, {
    query: { page_size: limit, page_token: token },
  });
}
