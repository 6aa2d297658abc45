/** One server-sent event. */
export type ServerSentEvent = { readonly id: string | undefined; readonly event: string; readonly data: string };

/** Reads server-sent events (WHATWG HTML §9.2.6) from a response's body; comments are left out, and what is unfinished at the end. */
export async function* readEventStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let id: string | undefined;
  let event = 'message';
  let data: string[] = [];
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (data.length > 0) yield { id, event, data: data.join('\n') };
      [id, event, data] = [undefined, 'message', []];
      continue;
    }
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
}

/** Lines end with LF, CR or both; a chunk may end between the two. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const isOpen = rest.endsWith('\r'); // perhaps the first half of an end
    const lines = (isOpen ? rest.slice(0, -1) : rest).split(/\r\n|\r|\n/);
    rest = (lines.pop() ?? '') + (isOpen ? '\r' : '');
    yield* lines;
  }
}
