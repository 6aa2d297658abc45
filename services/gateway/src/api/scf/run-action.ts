import { type Access, ACTIONS as RIGHTS, checkAccess, SCF_ACTIONS, type ScfRule } from '@evenfall/access';
import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { isRefusal } from '@evenfall/errors';
import type { FastifyRequest } from 'fastify';
import { auditedCall, type AuditedCall, BEGUN, isWrittenFromLog } from '../../domain/audit-entry.ts';
import { functionFlows } from '../../flows/manage-functions.ts';
import type { AuditTrail, Gateway } from '../../ports.ts';
import type { Meant, ScfAnswer, ScfCall } from './action.ts';
import { ScfError, scfError } from './codes.ts';

type Rights = Pick<ScfCall, 'gateway' | 'functions' | 'enter'>;

/** Makes what runs one action with the rights of its caller, and records in the audit log how it ended. */
export function actionRunner(
  request: FastifyRequest,
  access: Access,
  name: string,
  { scoped, audit }: { readonly scoped: (access: Access) => Gateway; readonly audit: AuditTrail },
): { run(act: (rights: Rights) => Promise<ScfAnswer>): Promise<ScfAnswer> } {
  request.access = access;
  const rule: ScfRule | undefined = SCF_ACTIONS[name];
  if (!rule) throw scfError('InvalidAction'); // an action without a right would be open to every key
  const { remoteAddress: address } = request.raw.socket;
  const call = RIGHTS[rule.action].isAudited
    ? auditedCall({ keyId: access.id, address, api: AuditRecord_Api.SCF, action: rule.action, operation: name })
    : undefined;
  request.auditedCall = call;
  const note = (audited: AuditedCall, outcome: string): Promise<void> => audit.note({ ...audited, ...meant, outcome });
  let meant: Meant = { namespace: undefined, subject: undefined };
  const gateway = scoped(access);
  const rights: Rights = {
    gateway,
    functions: functionFlows(gateway),
    async enter(given) {
      meant = { ...given, namespace: rule.namespace === 'default' ? 'default' : given.namespace };
      checkAccess(access, rule.action, rule.namespace === 'event' ? undefined : (meant.namespace ?? ''));
      if (call && !isWrittenFromLog(call)) await note(call, BEGUN);
    },
  };
  return {
    async run(act) {
      try {
        checkAccess(access, rule.action);
        const answer = await act(rights);
        if (call && !isWrittenFromLog(call)) await note(call, 'OK');
        return answer;
      } catch (error) {
        const noted = call && note(call, error instanceof ScfError ? error.code : isRefusal(error) ? error.reason : 'INTERNAL');
        if (call && !isWrittenFromLog(call)) await noted;
        throw error;
      }
    },
  };
}
