import { type Access, ACTIONS, checkAccess, type OperationRule, OPERATIONS } from '@evenfall/access';
import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { refuse } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { auditedCall, type AuditedCall, BEGUN, isWrittenFromLog } from '../../domain/audit-entry.ts';
import { type FunctionFlows, functionFlows } from '../../flows/manage-functions.ts';
import type { AuditTrail, Gateway } from '../../ports.ts';

/** What the key of a request may do. Throws UNAUTHENTICATED for a route that is reached without a key, which would be a fault of the server. */
export function accessOf(request: FastifyRequest): Access {
  if (!request.access) throw refuse('UNAUTHENTICATED', { detail: 'send "Authorization: Bearer id:secret"' });
  return request.access;
}

/** Gives every request the gateway as its key sees it, and records changes in the audit log. */
export function addRights(app: FastifyInstance, scoped: (access: Access) => Gateway, audit: AuditTrail): void {
  app.decorateRequest('access');
  app.decorateRequest('refusedAs', '');
  app.decorateRequest('auditedCall');
  app.decorateRequest('auditedNamespace', '');
  app.decorateRequest('auditedSubject', '');
  const flows = new WeakMap<Gateway, FunctionFlows>();
  const flowsOf = (gateway: Gateway): FunctionFlows => {
    let known = flows.get(gateway);
    if (!known) flows.set(gateway, (known = functionFlows(gateway)));
    return known;
  };
  app.decorateRequest('gateway', {
    getter(this: FastifyRequest) {
      return scoped(accessOf(this));
    },
  });
  app.decorateRequest('functions', {
    getter(this: FastifyRequest) {
      return flowsOf(scoped(accessOf(this)));
    },
  });
  const hooks = auditHooks(audit);
  app.addHook('onRoute', (route) => {
    const id = (route.schema as Described | undefined)?.operationId;
    if (id === undefined) return;
    const rule = ruleNamed(id);
    if (!rule) throw new Error(`The operation ${id} at ${route.url} has no action in libs/access`);
    if (!ACTIONS[rule.action].isAudited) return;
    route.preHandler = [hooks.before, ...[route.preHandler ?? []].flat()];
    route.onSend = hooks.after;
  });
}

type Described = { readonly operationId?: string };

function operationOf(request: FastifyRequest): string | undefined {
  return (request.routeOptions.schema as Described | undefined)?.operationId; // of @fastify/swagger
}

function ruleNamed(id: string): OperationRule | undefined {
  return Object.hasOwn(OPERATIONS, id) ? OPERATIONS[id as keyof typeof OPERATIONS] : undefined; // it is one of its own keys
}

function parameter(request: FastifyRequest, name: string): string | undefined {
  const value = (request.params as Readonly<Record<string, unknown>> | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
}

/** Throws ROLE_FORBIDS if the key of a request may not do what its route does. Before the body is read. */
export function checkRights(request: FastifyRequest): void {
  const id = operationOf(request);
  const rule = id === undefined ? undefined : ruleNamed(id);
  if (rule) checkAccess(accessOf(request), rule.action, parameter(request, 'namespace'));
}

/** What the audit log keeps of a request; undefined for one that changes nothing. */
export function auditedCallOf(request: FastifyRequest): AuditedCall | undefined {
  const operation = operationOf(request);
  const rule = operation === undefined ? undefined : ruleNamed(operation);
  if (request.auditedCall || operation === undefined || !rule || !request.access || !ACTIONS[rule.action].isAudited)
    return request.auditedCall;
  const { remoteAddress: address } = request.raw.socket;
  request.auditedCall = auditedCall({ keyId: request.access.id, address, api: AuditRecord_Api.REST, action: rule.action, operation });
  return request.auditedCall;
}

/** Records in the audit log that a change begins, before it does, and how it ended, before it is answered. */
function auditHooks(trail: AuditTrail) {
  const note = (call: AuditedCall, request: FastifyRequest, outcome: string): Promise<void> => {
    const { about } = ruleNamed(call.operation) ?? {};
    const namespace = parameter(request, 'namespace') ?? request.auditedNamespace;
    return trail.note({ ...call, namespace, subject: (about && parameter(request, about)) ?? request.auditedSubject, outcome });
  };
  return {
    async before(request: FastifyRequest): Promise<void> {
      const call = auditedCallOf(request);
      if (!call || isWrittenFromLog(call)) return;
      const name = (request.body as { readonly name?: unknown } | null | undefined)?.name; // a function that is created has its name there
      if (request.auditedSubject === '' && typeof name === 'string') request.auditedSubject = name;
      await note(call, request, BEGUN);
    },
    async after(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      const call = auditedCallOf(request);
      if (!call) return;
      const outcome = reply.statusCode < 400 ? 'OK' : request.refusedAs || String(reply.statusCode);
      if (!isWrittenFromLog(call)) await note(call, request, outcome);
      else if (outcome !== 'OK') void note(call, request, outcome);
    },
  };
}
