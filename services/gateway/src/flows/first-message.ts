/** Waits for the first message of a stream, and answers it beside the whole stream, first message included. */
export async function withFirst<T>(messages: AsyncIterable<T>): Promise<{ readonly first: T | undefined; readonly all: AsyncIterable<T> }> {
  const iterator = messages[Symbol.asyncIterator]();
  const head = await iterator.next();
  if (head.done === true) return { first: undefined, all: nothing() };
  return { first: head.value, all: joined(head.value, iterator) };
}

async function* nothing(): AsyncGenerator<never> {
  // no message came
}

async function* joined<T>(first: T, rest: AsyncIterator<T>): AsyncGenerator<T> {
  try {
    yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
