import { Refusal } from '@evenfall/errors';
import type { CallContext, CallOptions, ClientOf, Implementation, ServiceDefinition } from './contract.ts';
import { type OnUnexpected, toRefusal } from './failures.ts';
import { OVER } from './over.ts';
import { pushable } from './pushable.ts';

type AnyHandler = (request: unknown, context: CallContext) => unknown;

/**
 * Calls an implementation straight through, with the manners of a call over the wire: refusals arrive as refusals, accidents as INTERNAL,
 * deadlines and cancelling work, a stream that is left notifies its handler. Messages are passed as they are: they must not be changed.
 */
export function inProcessClient<S extends ServiceDefinition>(
  service: S,
  implementation: Implementation<S>,
  onUnexpected?: OnUnexpected,
): ClientOf<S> {
  const client: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(service)) {
    // The implementation has every method of the service by its type; the two lookups cannot be correlated.
    const handler = (implementation as unknown as Record<string, AnyHandler>)[name] as AnyHandler;
    client[name] = method.responseStream
      ? (request: unknown, options: CallOptions = {}) => callStream(handler, method.path, request, options, onUnexpected)
      : (request: unknown, options: CallOptions = {}) => callUnary(handler, method.path, request, options, onUnexpected);
  }
  return client as ClientOf<S>;
}

const NEVER = new AbortController().signal;

async function callUnary(handler: AnyHandler, path: string, request: unknown, options: CallOptions, onUnexpected?: OnUnexpected) {
  if (options.timeoutMs === undefined && options.signal === undefined) {
    try {
      return await handler(request, contextOf(NEVER, options));
    } catch (error) {
      throw toRefusal(error, path, onUnexpected);
    }
  }
  const controller = new AbortController();
  const stop = (reason: 'CANCELLED' | 'DEADLINE_EXCEEDED') => () => controller.abort(new Refusal(reason));
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(stop('DEADLINE_EXCEEDED'), options.timeoutMs);
  const cancel = stop('CANCELLED');
  if (options.signal?.aborted) cancel();
  options.signal?.addEventListener('abort', cancel, { once: true });
  const given = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Refusal), { once: true });
  });
  given.catch(() => undefined);
  try {
    if (controller.signal.aborted) throw controller.signal.reason;
    const answer = Promise.resolve(handler(request, contextOf(controller.signal, options)));
    answer.catch(() => undefined); // it may fail after the caller has gone
    return await Promise.race([answer, given]);
  } catch (error) {
    throw toRefusal(error, path, onUnexpected);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', cancel);
  }
}

function callStream(handler: AnyHandler, path: string, request: unknown, options: CallOptions, onUnexpected?: OnUnexpected) {
  const controller = new AbortController();
  const responses = pushable<unknown>(() => controller.abort(OVER));
  const cancel = () => {
    controller.abort(OVER);
    responses.fail(new Refusal('CANCELLED'));
  };
  if (options.signal?.aborted) cancel();
  options.signal?.addEventListener('abort', cancel, { once: true });
  const pump = async (): Promise<void> => {
    try {
      const answers = handler(request, contextOf(controller.signal, options)) as AsyncIterable<unknown>;
      for await (const answer of answers) {
        if (responses.closed) break;
        responses.push(answer);
      }
      responses.end();
    } catch (error) {
      if (!responses.closed) responses.fail(toRefusal(error, path, onUnexpected));
    } finally {
      controller.abort(OVER);
      options.signal?.removeEventListener('abort', cancel);
    }
  };
  if (!controller.signal.aborted) void pump();
  return responses;
}

function contextOf(signal: AbortSignal, options: CallOptions): CallContext {
  return { signal, header: (name) => options.headers?.[name] };
}
