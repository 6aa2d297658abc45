import { visible } from '@evenfall/json-text';
import { createApiClient } from '../api-client.ts';
import { Failure } from '../failure.ts';
import { logLineText, receiptText } from '../format/event-text.ts';
import { createTerminal, timeText } from '../terminal.ts';
import { findOrStartStack, type Stack } from './stack.ts';
import { endedWell, playStory, type Story } from './story.ts';

const LIMIT_MS = 120_000;
const json = process.argv.includes('--json');
const terminal = createTerminal({
  json,
  color: !json && process.stdout.isTTY && !process.env['NO_COLOR'],
  isTerminal: process.stdout.isTTY,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
});
const { color } = terminal;

/** Plays the story on a platform, shows it, and says whether it went as it should. */
async function main(): Promise<boolean> {
  terminal.print(color.dim('looking for a running platform, else starting one …'));
  const stack = await findOrStartStack(process.env);
  let story: Story;
  try {
    terminal.print(`${stack.isOwn ? 'started' : 'using'} ${stack.url}\n`);
    const api = createApiClient(stack.url, stack.accessKey);
    story = await within(
      LIMIT_MS,
      playStory(api, (line) => terminal.print(`  ${color.cyan('•')} ${visible(line)}`)),
    );
  } finally {
    await stack.stop();
  }
  // Last of all: a platform that does not stop is a failure, and there is one document.
  const ok = endedWell(story);
  showStory(story, stack, ok);
  return ok;
}

function showStory(story: Story, stack: Stack, ok: boolean): void {
  const { event, timeline, log } = story;
  const document = { ok, url: stack.url, started_platform: stack.isOwn, event, timeline, receipt: event.termination, log };
  terminal.show(document, ({ event, timeline, log }) => {
    const first = Date.parse(timeline[0]?.time ?? '');
    const moments = timeline.map(
      ({ time, what }) => `  ${color.dim(timeText(time))}  ${color.dim(`+${String(Date.parse(time) - first).padStart(5)} ms`)}  ${what}`,
    );
    return [
      '',
      color.bold('timeline'),
      ...moments,
      '',
      event.termination ? receiptText(event.termination, color) : color.red('there is no receipt'),
      '',
      color.bold('log'),
      ...log.map((line) => `  ${logLineText(line, color)}`),
      '',
      ok ? color.green('It was asked to stop, tidied up, and its answer was kept: "END".') : color.red('It did not end as it should have.'),
    ].join('\n');
  });
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure(`The story was not over within ${ms / 1000} s.`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

try {
  process.exit((await main()) ? 0 : 1);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  if (json) terminal.show({ ok: false, error: message }, () => message);
  else terminal.error(color.red(message));
  process.exit(1);
}
