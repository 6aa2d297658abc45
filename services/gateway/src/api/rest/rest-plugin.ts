import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Gateway } from '../../ports.ts';

/** What the routes of a resource are given. */
export type RestContext = {
  /** The gateway without any key's limits: for what no key bounds, such as sizes of bodies. Requests have their own. */
  readonly gateway: Gateway;
  /** Aborted when the server closes: streams end then, and their readers come back elsewhere. */
  readonly closing: AbortSignal;
  /** Logs a failure that no refusal describes. */
  readonly unexpected: (error: unknown) => void;
};

/** The routes of one resource. Schemas of a route give the types of its parameters, body and answer. */
export type RestPlugin = FastifyPluginAsyncTypebox<RestContext>;
