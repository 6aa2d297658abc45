import type { BodyKind } from './errors.ts';

/* eslint-disable @typescript-eslint/consistent-type-definitions -- only an interface can be added to */
declare module 'fastify' {
  interface FastifyRequest {
    /** Id of the access key the request came with. */
    requester: string;
    /** Fields a PATCH names, those with null among them. */
    updateMask: readonly string[];
  }
  interface FastifyContextConfig {
    /** What the body is, for the refusal of one that is too large. */
    bodyKind?: BodyKind;
    /** Whether its requests are signed as a whole, and the route checks that itself. */
    signed?: boolean;
  }
}
