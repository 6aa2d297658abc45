import { rawText } from '@evenfall/json-text';
import type { DeadLetterAnswer } from '../answers.ts';
import { stateText, table, type Terminal, timeText } from '../terminal.ts';
import { eventText } from './event-text.ts';

type Color = Terminal['color'];

/** One dead letter: the event as it ended, and what it was accepted with. */
export function deadLetterText({ event, payload }: DeadLetterAnswer, color: Color): string {
  return `${eventText(event, color)}\n  payload   ${rawText(payload)}`;
}

export function deadLettersText(letters: readonly DeadLetterAnswer[], color: Color): string {
  if (letters.length === 0) return 'No dead letters.';
  const rows = letters.map(({ event, payload }) => [
    event.id,
    stateText(event.state, color),
    event.status_code ? String(event.status_code) : '',
    timeText(event.end_time),
    String(event.attempts.length),
    short(rawText(payload)),
  ]);
  return table(['EVENT', 'STATE', 'CODE', 'ENDED', 'ATTEMPTS', 'PAYLOAD'], rows, color);
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
