import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import { isUuid, timeOfUuidV7 } from '@evenfall/time';

/** What the audit log keeps of a record: of a termination that a call asked for, and of nothing else. It is done once the log believes its record. */
export function auditedOf({ change }: EventRecord): AuditRecord | undefined {
  const audit = change?.$case === 'terminationRequested' ? change.value.audit : undefined;
  if (!audit || !isUuid(audit.id) || timeOfUuidV7(audit.id) === undefined) return undefined;
  return { ...audit, outcome: 'OK' };
}
