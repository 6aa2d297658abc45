import { type AuditRecord, type AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { newUuidV7, timeOfUuidV7 } from '@evenfall/time';

/** A call that asks for a change. */
export type AuditedCall = {
  /** Of its one record, however the call ends, and whichever service writes it. */
  readonly id: string;
  readonly keyId: string;
  readonly address: string | undefined;
  readonly api: AuditRecord_Api;
  readonly action: string;
  readonly operation: string;
};

/** A change that was asked for, and what became of it. */
export type AuditEntry = AuditedCall & {
  readonly namespace: string | undefined;
  readonly subject: string | undefined;
  /** "OK", the reason of the refusal, or "BEGUN". */
  readonly outcome: string;
};

/** The outcome in a record until its gateway knows how the change ended. */
export const BEGUN = 'BEGUN';

/** Characters of a name at most: what callers send is not trusted to be one. */
const MOST = 128;

/** A call as of now. */
export function auditedCall(call: Omit<AuditedCall, 'id'>): AuditedCall {
  return { id: newUuidV7(), ...call };
}

/**
 * Whether the gateway writes the record before a call is carried out, and after it is done. It does not for a termination: nothing comes before its signal, and
 * one that is done is written from the event log.
 */
export function isWrittenFromLog({ action }: Pick<AuditedCall, 'action'>): boolean {
  return action === 'events.terminate';
}

/** The record of an entry. */
export function auditRecord({ id, keyId, address, api, action, operation, namespace, subject, outcome }: AuditEntry): AuditRecord {
  const time = new Date(timeOfUuidV7(id) ?? 0);
  return {
    id,
    time,
    keyId,
    address: bounded(address),
    api,
    action,
    operation,
    namespace: bounded(namespace),
    subject: bounded(subject),
    outcome,
  };
}

function bounded(text = ''): string {
  return text.slice(0, MOST).toWellFormed().replaceAll('\0', '');
}
