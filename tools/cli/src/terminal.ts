import { RawJson, rawText, stringify, visible, visibleLines } from '@evenfall/json-text';
import Table from 'cli-table3';
import pico from 'picocolors';

/** Where a command writes, and how. */
export type Terminal = {
  /** Whether machines read: JSON, and nothing else, on stdout. */
  readonly json: boolean;
  readonly color: ReturnType<typeof pico.createColors>;
  /** Writes a line for people; nothing when machines read. */
  print(line: string): void;
  /**
   * Writes a value for machines, or what `forPeople` makes of it: of a copy whose texts have no character that a terminal obeys or does not show.
   * Texts of functions reach a terminal by this way alone.
   */
  show<T>(value: T, forPeople: (seen: T) => string): void;
  error(line: string): void;
};

export type TerminalOptions = {
  readonly json: boolean;
  readonly color: boolean;
  /** Whether stdout is one, rather than a file or a program. */
  readonly isTerminal: boolean;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
};

export function createTerminal({ json, color, isTerminal, stdout, stderr }: TerminalOptions): Terminal {
  const clean = (text: string): string => (color ? colorsOnly(text) : visibleLines(text));
  return {
    json,
    color: pico.createColors(color),
    print: (line) => {
      if (!json) stdout(`${clean(line)}\n`);
    },
    show: (value, forPeople) => {
      if (!json) stdout(`${clean(forPeople(seenOf(value)))}\n`);
      // JSON escapes some of them itself. For a program every byte stays as the server sent it.
      else stdout(`${isTerminal ? visibleLines(stringify(value)) : stringify(value)}\n`);
    },
    error: (line) => stderr(`${clean(line)}\n`),
  };
}

/** A copy of a value in which every text is visible. Kept JSON stays JSON of the same value. */
function seenOf<T>(value: T): T {
  return copyOf(value) as T; // texts stay texts, and everything else its shape
}

function copyOf(value: unknown): unknown {
  if (typeof value === 'string') return visible(value);
  if (value instanceof RawJson) return new RawJson(visibleLines(rawText(value)));
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [visible(key), copyOf(one)]));
}

/** Makes everything visible but lines and the colours that this program uses. */
function colorsOnly(text: string): string {
  const parts = text.split(/(\x1b\[(?:[012]|2[27]|3[1-69]|7)m)/);
  return parts.map((part, i) => (i % 2 === 0 ? visibleLines(part) : part)).join('');
}

/** A table without frames: columns that line up, and nothing to get in the way of copying. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], color: Terminal['color']): string {
  const made = new Table({
    head: head.map((title) => color.dim(title)),
    chars: FRAMELESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const FRAMELESS = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, '']),
);

/** The state of an event or instance in its colour. */
export function stateText(state: string, color: Terminal['color']): string {
  if (state === 'SUCCEEDED' || state === 'IDLE') return color.green(state);
  if (state === 'FAILED' || state === 'EXPIRED') return color.red(state);
  if (state === 'TERMINATED' || state === 'TERMINATING' || state === 'STOPPING') return color.yellow(state);
  return color.cyan(state);
}

/** A size as people read it. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let [size, unit] = [bytes, 0];
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit] ?? ''}`;
}

/** A moment as people read it, in UTC. */
export function timeText(time: string | null): string {
  return time === null ? '–' : time.replace('T', ' ').replace(/Z$/, '');
}
