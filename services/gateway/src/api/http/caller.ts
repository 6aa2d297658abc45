import { ANONYMOUS } from '@evenfall/access';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { traceparentOf } from '../../domain/submission.ts';
import type { Caller } from '../../ports.ts';
import { accessOf, auditedCallOf } from './rights.ts';

/**
 * The caller of a request. Its signal is made when first read: most requests never need it. It is aborted when the caller disconnects, and for a
 * stream also when the server closes.
 */
export function callerOf(request: FastifyRequest, reply: FastifyReply, closing?: AbortSignal): Caller {
  const header = request.headers['traceparent'];
  let signal: AbortSignal | undefined;
  return {
    requester: request.access?.id ?? ANONYMOUS,
    get access() {
      return accessOf(request);
    },
    get audited() {
      return auditedCallOf(request);
    },
    traceparent: traceparentOf(typeof header === 'string' ? header : undefined),
    get signal() {
      return (signal ??= signalOf(reply, closing, request));
    },
  };
}

function signalOf(reply: FastifyReply, closing: AbortSignal | undefined, { access, gateway }: FastifyRequest): AbortSignal {
  const controller = new AbortController();
  const response = reply.raw;
  if (response.destroyed) controller.abort();
  response.once('close', () => controller.abort());
  const ends = [closing, access && gateway.keys.endOf(access)].filter((end) => end !== undefined);
  return ends.length === 0 ? controller.signal : AbortSignal.any([controller.signal, ...ends]);
}
