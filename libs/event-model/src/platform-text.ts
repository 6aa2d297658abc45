import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';

/** A text with the stream it belongs to. */
export type FunctionText = { readonly stream: Stream; readonly text: string };

/** Further lines of one error that are shown. A stack of 32 KB could be as many empty lines. */
const MAX_FURTHER_LINES = 500;
/** Whatever some reader takes for the end of a line: Python's `splitlines`, JavaScript's `^` and terminals differ. */
const LINE_END = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/;
const LINE_END_KEPT = new RegExp(`(${LINE_END.source})`);

/**
 * Splits what the platform says with words of a function at its end. The platform's own line ends with the first of them; what follows belongs to
 * the stream ERROR, so that no line of the platform's stream begins with words of a function.
 */
export function platformText(head: string, words = ''): FunctionText[] {
  const [first = '', ...further] = (head + words.trimEnd()).split(LINE_END);
  const left = further.length - MAX_FURTHER_LINES;
  const lines = [
    { stream: Stream.PLATFORM, text: first },
    ...further.slice(0, MAX_FURTHER_LINES).map((text) => ({ stream: Stream.ERROR, text })),
  ];
  if (left > 0) lines.push({ stream: Stream.PLATFORM, text: `[PLATFORM] ${left} more lines of the error are left out` });
  return lines;
}

/** JSON, or what should be, on one line. In JSON a line end between tokens is white space, and within a string there is none but these. */
export function onOneLine(answer: string): string {
  return answer
    .replace(/[\r\n]+/g, ' ')
    .replace(/[\v\f\x1c-\x1e\x85\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .trimEnd();
}

/** How lines of the platform begin, once what cannot be seen is left out. */
const PLATFORM_START =
  /^>*(?:STARTRequestId|InitReport|ProvisionedReport|ERRORRequestId|ResponseRequestId|ENDRequestId|ReportRequestId|\[PLATFORM\]|FC(?:Initialize|PreStop))/i;
const NOT_SEEN = /\x1b\[[0-?]*[ -/]*[@-~]|[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;
const MAY_BE_PLATFORM = /platform|request|report|fc/i;

/**
 * A line for those who get a log as one text, without its streams: a function's line that begins as the platform's do has a `>` before it, and one
 * that begins with such a `>` has one more. So a line that begins as the platform's do is the platform's, and nothing is lost.
 */
export function quotedText({ stream, text }: FunctionText): string {
  if (!MAY_BE_PLATFORM.test(text.replace(NOT_SEEN, ''))) return text;
  const isOwn = stream === Stream.PLATFORM;
  return text
    .split(LINE_END_KEPT)
    .map((part, i) => (i % 2 === 0 && !(isOwn && i === 0) && PLATFORM_START.test(part.replace(NOT_SEEN, '')) ? `>${part}` : part))
    .join('');
}
