import { type Access, ACTIONS, checkAccess, type RpcRule, RPCS } from '@evenfall/access';
import { AuditRecord_Door } from '@evenfall/contracts/v1/audit_service';
import { isRefusal } from '@evenfall/errors';
import { bind, type BoundService, type CallContext, type Implementation, type ServiceDefinition } from '@evenfall/rpc';
import type { AuditTrail } from '../../ports.ts';

/** Who calls, in what every handler is given. */
export type Rights = { readonly accessOf: (context: CallContext) => Access; readonly audit: AuditTrail };

type Handler = (request: unknown, context: CallContext) => unknown;
type Call = { readonly access: Access; readonly rule: RpcRule; readonly method: string; readonly address: string | undefined };

/** The rule of a method by its path, "/evenfall.v1.Service/Method"; undefined for what is not the platform's own. */
export function ruleOfPath(path: string): RpcRule | undefined {
  const [, name = ''] = /^\/evenfall\.v1\.([\w/]+)$/.exec(path) ?? [];
  return Object.hasOwn(RPCS, name) ? RPCS[name] : undefined;
}

/**
 * Puts a service and its implementation together, with every method behind the right it takes: in the namespace of each message. What is a change goes to the
 * audit log. A method without a right is a mistake, and the door does not open.
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
    const call = (context: CallContext): Call => ({
      access: accessOf(context),
      rule,
      method: method.path.slice(1),
      address: context.address,
    });
    const checked = (context: CallContext, request: unknown): unknown => {
      const { access } = call(context);
      checkAccess(access, rule.action, rule.namespace === undefined ? undefined : textAt(request, rule.namespace));
      return request;
    };
    guarded[name] = (request, context) => {
      const { isAudited } = ACTIONS[rule.action];
      if (method.requestStream) {
        const stream = checkedEach(request as AsyncIterable<unknown>, (one) => checked(context, one)); // by its type
        return isAudited
          ? audited(
              audit,
              call(context),
              () => stream.first,
              async () => handler(stream, context),
            )
          : handler(stream, context);
      }
      if (!isAudited) return handler(checked(context, request), context);
      return audited(
        audit,
        call(context),
        () => request,
        async () => handler(checked(context, request), context),
      );
    };
  }
  return bind(service, guarded as unknown as Implementation<S>); // each as it was, behind a check
}

/** Checks every message of a stream as it comes, and remembers the first. */
function checkedEach(
  requests: AsyncIterable<unknown>,
  check: (request: unknown) => unknown,
): AsyncIterable<unknown> & { readonly first: unknown } {
  const stream = {
    first: undefined as unknown,
    async *[Symbol.asyncIterator](): AsyncGenerator {
      for await (const request of requests) {
        stream.first ??= request;
        yield check(request);
      }
    },
  };
  return stream;
}

async function audited(
  audit: AuditTrail,
  { access, rule, method, address }: Call,
  requestOf: () => unknown,
  run: () => Promise<unknown>,
): Promise<unknown> {
  const note = async (outcome: string, answer: unknown): Promise<void> => {
    const request = requestOf();
    const kept = audit.note({
      keyId: access.id,
      address,
      door: AuditRecord_Door.GRPC,
      action: rule.action,
      operation: method,
      // What a request names only by an id, its answer may say.
      namespace: (rule.namespace === undefined ? '' : textAt(request, rule.namespace)) || textAt(answer, 'event.namespace'),
      subject: (rule.about === undefined ? '' : textAt(request, rule.about)) || textAt(answer, 'accessKey.id'),
      outcome,
    });
    if (rule.action !== 'events.terminate') await kept; // nothing comes before the signal
  };
  let answer: unknown;
  try {
    answer = await run();
  } catch (error) {
    await note(isRefusal(error) ? error.reason : 'INTERNAL', undefined);
    throw error;
  }
  await note('OK', answer);
  return answer;
}

/** The text at a path of fields; empty if there is none. */
function textAt(message: unknown, path: string): string {
  let value = message;
  for (const field of path.split('.'))
    value = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[field] : undefined;
  return typeof value === 'string' ? value : '';
}
