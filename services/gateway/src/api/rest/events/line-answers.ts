import { isRefusal } from '@evenfall/errors';
import { errorBody } from '../../http/errors.ts';
import type { FastifyReply } from 'fastify';
import type { LineAnswer } from '../../../flows/accept-lines.ts';

const TYPE = 'application/x-ndjson; charset=utf-8';

/** Answers line by line, while further lines are read; the caller's pace is that of its reading. */
export async function sendLineAnswers(
  reply: FastifyReply,
  answers: AsyncGenerator<LineAnswer[]>,
  unexpected: (error: unknown) => void,
): Promise<void> {
  const response = reply.raw;
  const first = await answers.next(); // a failure before it is an HTTP error
  reply.hijack();
  response.writeHead(200, {
    ...Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)])),
    'content-type': TYPE,
    'cache-control': 'no-store',
  });
  const gone = new Promise<void>((resolve) => response.once('close', () => resolve()));
  try {
    for (let step = first; !step.done && !response.destroyed; step = await answers.next()) {
      const text = step.value.map((one) => `${JSON.stringify('id' in one ? one : errorBody([one.refusal]))}\n`).join('');
      if (!response.write(text)) await Promise.race([new Promise((resolve) => response.once('drain', resolve)), gone]);
    }
    response.end();
  } catch (error) {
    if (!response.destroyed && !isRefusal(error)) unexpected(error);
    response.destroy(); // without an end it is seen that lines are missing
  } finally {
    void answers.return(undefined);
  }
}
