import { readFile } from 'node:fs/promises';
import { pretty, rawText, visible } from '@evenfall/json-text';
import type { EventAnswer, InvocationAnswer } from '../answers.ts';
import { type Context, functionPath } from '../context.ts';
import { Failure, usage } from '../failure.ts';
import { eventText } from '../format/event-text.ts';
import { untilEnded } from './watching.ts';

export type InvokeOptions = {
  readonly payload?: string;
  readonly file?: string;
  readonly qualifier?: string;
  readonly async?: boolean;
  readonly delay?: string;
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
};

/** Calls a function: and waits for its answer, or hands it an event. A function that fails ends the command with 1. */
export async function invoke(context: Context, name: string, options: InvokeOptions): Promise<void> {
  const needsAsync = (['delay', 'idempotencyKey', 'wait'] as const).filter((option) => options[option] !== undefined);
  if (!options.async && needsAsync.length > 0) throw usage('--delay, --idempotency-key and --wait go with --async');
  const body = { bytes: await payloadOf(context, options), type: 'application/json' };
  const path = functionPath(context.namespace, name);
  if (!options.async) {
    showAnswer(context, await context.api.call('POST', `${path}:invoke`, { body, query: { qualifier: options.qualifier } }));
    return;
  }

  const accepted = await context.api.call<EventAnswer>('POST', `${path}/events`, {
    body,
    headers: { 'evenfall-qualifier': options.qualifier, 'evenfall-delay': options.delay, 'idempotency-key': options.idempotencyKey },
  });
  const event = options.wait ? await untilEnded(context.api, accepted.id) : accepted;
  context.terminal.show(event, (seen) => (options.wait ? eventText(seen, context.terminal.color) : seen.id));
  if (options.wait && event.state !== 'SUCCEEDED') throw new Failure(`The event ended ${event.state} with ${event.status_code}.`);
}

function showAnswer({ terminal }: Context, answer: InvocationAnswer): void {
  const failed = answer.status_code !== 200;
  terminal.show(answer, (seen) => pretty(rawText(failed ? seen.error : seen.result)));
  if (!terminal.json)
    terminal.error(
      terminal.color.dim(
        `${answer.status_code}  ${answer.duration_ms.toFixed(1)} ms  ${(answer.memory_bytes / 1_048_576).toFixed(1)} MB  ${visible(answer.event_id)}`,
      ),
    );
  if (failed) throw new Failure(`The function failed with ${answer.status_code}.`);
}

/** The bytes as they are: what is wrong with them the server says. */
async function payloadOf(context: Context, { payload, file }: InvokeOptions): Promise<Uint8Array> {
  if (payload !== undefined && file !== undefined) throw usage('give --payload or --file, not both');
  if (file !== undefined && file !== '-') {
    return readFile(file).catch((error: unknown) => {
      throw usage(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  if (payload !== undefined) return Buffer.from(payload);
  return file === '-' || context.stdinHasPayload ? context.readStdin() : new Uint8Array();
}
