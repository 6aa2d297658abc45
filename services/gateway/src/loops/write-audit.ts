import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import { superviseLoop } from '@evenfall/lifecycle';
import { auditRecord } from '../domain/audit-entry.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { AuditTrail, GatewayPorts } from '../ports.ts';

/** Records that wait at most, while the registry is away. */
const MOST_WAITING = 10_000;
const BATCH = 500;
/** How long an answer waits for its record: while the registry is away it goes without, and the record follows. */
const MOST_WAIT_MS = 2_000;

/**
 * Writes audit records in batches. While the registry is away they wait in memory; beyond what fits they are dropped, counted, and written to
 * the log of the gateway instead.
 */
export function createAuditTrail(
  ports: Pick<GatewayPorts, 'registry' | 'log'>,
): AuditTrail & { run(signal: AbortSignal): Promise<void>; flush(): Promise<void> } {
  let waiting: { readonly record: AuditRecord; readonly done: () => void }[] = [];
  let droppedCount = 0;
  let wake = Promise.withResolvers<undefined>();

  const writeSome = async (): Promise<void> => {
    const batch = waiting.slice(0, BATCH);
    if (batch.length === 0) return;
    await ports.registry.recordAudit({ records: batch.map(({ record }) => record) }, { timeoutMs: TIMEOUTS_MS.change });
    waiting = waiting.slice(batch.length);
    for (const { done } of batch) done();
  };
  return {
    get droppedCount() {
      return droppedCount;
    },
    note(entry) {
      const record = auditRecord(entry);
      if (waiting.length >= MOST_WAITING) {
        droppedCount++;
        const { keyId: key, address, action, operation, namespace, subject, outcome } = record;
        ports.log.warn('an audit record was dropped: too many wait', { key, address, action, operation, namespace, subject, outcome });
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const late = setTimeout(resolve, MOST_WAIT_MS);
        late.unref();
        const done = (): void => {
          clearTimeout(late);
          resolve();
        };
        waiting.push({ record, done });
        wake.resolve(undefined);
      });
    },
    run: (signal) => {
      signal.addEventListener('abort', () => wake.resolve(undefined), { once: true });
      const onFailure = (error: unknown): void =>
        ports.log.warn('the audit log cannot be written; records wait', { error: String(error), waiting: waiting.length });
      return superviseLoop({ name: 'write audit', signal, onFailure }, async () => {
        while (waiting.length > 0) await writeSome();
        wake = Promise.withResolvers();
        if (!signal.aborted) await wake.promise;
      });
    },
    async flush() {
      while (waiting.length > 0) await writeSome();
    },
  };
}
