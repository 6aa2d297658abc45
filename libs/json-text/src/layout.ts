const STRUCTURE = new Set('{}[],:');
const SPACE = new Set(' \n\r\t');
/** Deeper levels stay on their line: the indents alone would be more than the text. */
const MAX_INDENTED_DEPTH = 64;

/** The same JSON without white space between its tokens; it has no line ends. */
export function compact(json: string): string {
  return tokensOf(json).join('');
}

const [TAB, LINE_FEED, CARRIAGE_RETURN, BLANK, QUOTE, BACKSLASH] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x5c];

/** The same for bytes that are valid JSON in UTF-8, whatever there are of them: one pass, one copy. 6 MB take about 15 ms. */
export function compactBytes(json: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(json.length);
  let end = 0;
  let isString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0;
    if (isString) {
      out[end++] = byte;
      if (byte === BACKSLASH) out[end++] = json[++at] ?? 0;
      else if (byte === QUOTE) isString = false;
    } else if (byte !== BLANK && byte !== LINE_FEED && byte !== CARRIAGE_RETURN && byte !== TAB) {
      out[end++] = byte;
      isString = byte === QUOTE;
    }
  }
  return out.subarray(0, end);
}

/** The same JSON with a line for every member and element, as `JSON.stringify` lays it out with an indent of two; what is nested very deeply stays on one line. */
export function pretty(json: string): string {
  const out: string[] = [];
  let depth = 0;
  const line = (): string => (depth > MAX_INDENTED_DEPTH ? '' : `\n${'  '.repeat(depth)}`);
  const tokens = tokensOf(json);
  for (const [i, token] of tokens.entries()) {
    if (token === '{' || token === '[') {
      const isEmpty = tokens[i + 1] === '}' || tokens[i + 1] === ']';
      if (!isEmpty) depth++;
      out.push(token, isEmpty ? '' : line());
    } else if (token === '}' || token === ']') {
      const isEmpty = tokens[i - 1] === '{' || tokens[i - 1] === '[';
      if (!isEmpty) depth--;
      out.push(isEmpty ? '' : line(), token);
    } else if (token === ',') out.push(token, line());
    else out.push(token === ':' ? ': ' : token);
  }
  return out.join('');
}

/** Tokens of a JSON text, each as it is written. */
function tokensOf(json: string): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < json.length;) {
    const begin = at;
    const first = json[at++] ?? '';
    if (SPACE.has(first)) continue;
    if (first === '"') {
      while (json[at] !== '"' && at < json.length) at += json[at] === '\\' ? 2 : 1;
      at++;
    } else if (!STRUCTURE.has(first)) while (at < json.length && !isBetween(json[at] ?? '')) at++;
    tokens.push(json.slice(begin, at));
  }
  return tokens;
}

function isBetween(one: string): boolean {
  return SPACE.has(one) || STRUCTURE.has(one) || one === '"';
}
