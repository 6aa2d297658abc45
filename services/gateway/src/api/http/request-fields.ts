import type { Access } from '@evenfall/access';
import type { AuditedCall } from '../../domain/audit-entry.ts';
import type { FunctionFlows } from '../../flows/manage-functions.ts';
import type { Gateway } from '../../ports.ts';
import type { BodyKind } from './errors.ts';

/* eslint-disable @typescript-eslint/consistent-type-definitions -- only an interface can be added to */
declare module 'fastify' {
  interface FastifyRequest {
    /** What the access key may do that the request came with; undefined before it is known. */
    access: Access | undefined;
    /** The gateway as that key sees it; it can be asked for once the key is known. */
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
    /** Whether its requests are signed as a whole, and the route checks that itself. */
    signed?: boolean;
  }
}
