import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';

/** Keeps records as a registry does: one of each id, which says what was said last. */
export function keepRecords(kept: AuditRecord[], records: readonly AuditRecord[]): Promise<object> {
  for (const one of records) {
    const at = kept.findIndex(({ id }) => id === one.id);
    kept.splice(at < 0 ? kept.length : at, 1, one);
  }
  return Promise.resolve({});
}
