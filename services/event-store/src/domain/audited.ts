import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import { isUuid, timeOfUuidV7 } from '@evenfall/time';

/** The audit record of a log record: only for a termination that a call requested. It counts as done once the log record is committed and not fenced. */
export function auditedOf({ change }: EventRecord): AuditRecord | undefined {
  const audit = change?.$case === 'terminationRequested' ? change.value.audit : undefined;
  if (!audit || !isUuid(audit.id) || timeOfUuidV7(audit.id) === undefined) return undefined;
  return { ...audit, outcome: 'OK' };
}
