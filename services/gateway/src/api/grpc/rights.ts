import { auditedCall, type AuditedCall, BEGUN, isWrittenFromLog } from '../../domain/audit-entry.ts';
import { type Access, ACTIONS, checkAccess, type RpcRule, RPCS } from '@evenfall/access';
import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { isRefusal } from '@evenfall/errors';
import { bind, type BoundService, type CallContext, type Implementation, type ServiceDefinition } from '@evenfall/rpc';
import type { AuditTrail } from '../../ports.ts';

/** Finds the caller of a call, and records changes. */
export type Rights = { readonly accessOf: (context: CallContext) => Access; readonly audit: AuditTrail };

type Handler = (request: unknown, context: CallContext) => unknown;

/** The rule of a method by its path, "/evenfall.v1.Service/Method"; undefined for what is not the platform's own. */
export function ruleOfPath(path: string): RpcRule | undefined {
  const [, name = ''] = /^\/evenfall\.v1\.([\w/]+)$/.exec(path) ?? [];
  return Object.hasOwn(RPCS, name) ? RPCS[name] : undefined;
}

/**
 * Puts a service and its implementation together, with every method behind the right it takes: in the namespace of each message. What is a change goes to the
 * audit log. A method without a right is a fault of the program, and the gateway does not start.
 */
export function bindGuarded<S extends ServiceDefinition>(
  service: S,
  implementation: Implementation<S>,
  { accessOf, audit }: Rights,
): BoundService {
  const guarded: Record<string, Handler> = {};
  for (const [name, method] of Object.entries(service)) {
    const rule = ruleOfPath(method.path);
    if (!rule) throw new Error(`The method ${method.path} has no action in libs/access`);
    const handler = (implementation as unknown as Record<string, Handler>)[name] as Handler; // by its type it has every method
    const call = (context: CallContext): AuditedCall =>
      auditedCall({
        keyId: accessOf(context).id,
        address: context.address,
        api: AuditRecord_Api.GRPC,
        action: rule.action,
        operation: method.path.slice(1),
      });
    const checked = (context: CallContext, request: unknown): unknown => {
      checkAccess(accessOf(context), rule.action, rule.namespace === undefined ? undefined : textAt(request, rule.namespace));
      return request;
    };
    guarded[name] = (request, context) => {
      const isAudited = ACTIONS[rule.action].isAudited;
      const kept = isAudited ? keeping(audit, call(context), rule, context) : undefined;
      if (method.requestStream) {
        const stream = checkedEach(
          request as AsyncIterable<unknown>, // by its type
          (one) => checked(context, one),
          () => accessOf(context),
          kept?.begun,
        );
        return kept
          ? kept.around(
              () => stream.first,
              async () => handler(stream, context),
            )
          : handler(stream, context);
      }
      if (!kept) return handler(checked(context, request), context);
      return kept.around(
        () => request,
        async () => {
          checked(context, request);
          await kept.begun(request);
          return handler(request, context);
        },
      );
    };
  }
  return bind(service, guarded as unknown as Implementation<S>); // each as it was, behind a check
}

/**
 * Checks every message of a stream as it comes, and whose it is once more at its end, which may be what counts; remembers the first, of which more may be
 * done before it is handed on.
 */
function checkedEach(
  requests: AsyncIterable<unknown>,
  check: (request: unknown) => unknown,
  checkEnd: () => unknown,
  onFirst?: (request: unknown) => Promise<void>,
): AsyncIterable<unknown> & { readonly first: unknown } {
  const stream = {
    first: undefined as unknown,
    async *[Symbol.asyncIterator](): AsyncGenerator {
      for await (const request of requests) {
        const isFirst = stream.first === undefined;
        stream.first ??= request;
        check(request);
        if (isFirst) await onFirst?.(request);
        yield request;
      }
      checkEnd();
    },
  };
  return stream;
}

const calls = new WeakMap<CallContext, AuditedCall>();

/** What the audit log keeps of a call; undefined for one that is no change. */
export function auditedCallOf(context: CallContext): AuditedCall | undefined {
  return calls.get(context);
}

/** Records in the audit log that a call begins, and how it ended. */
function keeping(audit: AuditTrail, call: AuditedCall, rule: RpcRule, context: CallContext) {
  calls.set(context, call);
  const note = (outcome: string, request: unknown, answer?: unknown): Promise<void> =>
    audit.note({
      ...call,
      // What a request names only by an id, its answer may say.
      namespace: (rule.namespace === undefined ? '' : textAt(request, rule.namespace)) || textAt(answer, 'event.namespace'),
      subject: (rule.about === undefined ? '' : textAt(request, rule.about)) || textAt(answer, 'accessKey.id'),
      outcome,
    });
  return {
    begun: async (request: unknown): Promise<void> => {
      if (!isWrittenFromLog(call)) await note(BEGUN, request);
    },
    async around(requestOf: () => unknown, run: () => Promise<unknown>): Promise<unknown> {
      let answer: unknown;
      try {
        answer = await run();
      } catch (error) {
        const kept = note(isRefusal(error) ? error.reason : 'INTERNAL', requestOf());
        if (!isWrittenFromLog(call)) await kept;
        throw error;
      }
      if (!isWrittenFromLog(call)) await note('OK', requestOf(), answer);
      return answer;
    },
  };
}

/** The text at a path of fields; empty if there is none. */
function textAt(message: unknown, path: string): string {
  let value = message;
  for (const field of path.split('.'))
    value = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[field] : undefined;
  return typeof value === 'string' ? value : '';
}
