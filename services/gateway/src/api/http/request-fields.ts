import type { Access } from '@evenfall/access';
import type { FastifyReply, FastifyRequest as Request } from 'fastify';
import type { Refusal } from '@evenfall/errors';
import type { AuditedCall } from '../../domain/audit-entry.ts';
import type { FunctionFlows } from '../../flows/manage-functions.ts';
import type { Gateway } from '../../ports.ts';
import type { BodyKind } from './errors.ts';

/** Answers a request that is refused before its route runs, in the form of the route's API. */
export type SignedRoute = { readonly refuse: (request: Request, reply: FastifyReply, refusal: Refusal) => FastifyReply };

/* eslint-disable @typescript-eslint/consistent-type-definitions -- only an interface can be added to */
declare module 'fastify' {
  interface FastifyRequest {
    /** What the access key of the request may do; undefined before the key is checked. */
    access: Access | undefined;
    /** The gateway as that key sees it; available once the key is checked. */
    readonly gateway: Gateway;
    /** The same for functions. */
    readonly functions: FunctionFlows;
    /** Reason of the refusal it is answered with; empty without one. */
    refusedAs: string;
    /** What the audit log keeps of it; undefined before that is asked for, and where it keeps nothing. */
    auditedCall: AuditedCall | undefined;
    /** For the audit log, where the path does not say it: the namespace, and what it is about. */
    auditedNamespace: string;
    auditedSubject: string;
    /** Fields a PATCH names, those with null among them. */
    updateMask: readonly string[];
  }
  interface FastifyContextConfig {
    /** What the body is, for the refusal of one that is too large. */
    bodyKind?: BodyKind;
    /** Whether it answers without an access key. */
    isOpen?: boolean;
    /** Whether it is a page for browsers. */
    isPage?: boolean;
    /** For routes whose requests are signed as a whole: the route checks the signature itself. */
    signed?: SignedRoute;
  }
}
