import { type AuditRecord, type AuditRecord_Door } from '@evenfall/contracts/v1/audit_service';
import { newUuidV7 } from '@evenfall/time';

/** A change that was asked for, and what became of it. */
export type AuditEntry = {
  readonly keyId: string;
  readonly address: string | undefined;
  readonly door: AuditRecord_Door;
  readonly action: string;
  readonly operation: string;
  readonly namespace: string | undefined;
  readonly subject: string | undefined;
  /** "OK", or the reason of the refusal. */
  readonly outcome: string;
};

/** Characters of a name at most: what callers send is not trusted to be one. */
const MOST = 128;

/** The record of an entry, as of now. */
export function auditRecord(entry: AuditEntry, nowMs: number): AuditRecord {
  return {
    ...entry,
    id: newUuidV7(nowMs),
    time: new Date(nowMs),
    address: bounded(entry.address),
    namespace: bounded(entry.namespace),
    subject: bounded(entry.subject),
  };
}

function bounded(text = ''): string {
  return text.slice(0, MOST).toWellFormed().replaceAll('\0', '');
}
