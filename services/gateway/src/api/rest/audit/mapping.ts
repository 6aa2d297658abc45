import { type AuditRecord, AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { nameOf } from '../json/enum-names.ts';
import { always, textOrNull } from '../json/values.ts';
import type { AuditRecordBody } from './schema.ts';

export function recordJson(record: AuditRecord): AuditRecordBody {
  return {
    id: record.id,
    time: always(record.time),
    key_id: record.keyId,
    address: record.address,
    api: always(nameOf(AuditRecord_Api, record.api)),
    action: record.action,
    operation: record.operation,
    namespace: textOrNull(record.namespace),
    subject: textOrNull(record.subject),
    outcome: record.outcome,
  };
}
