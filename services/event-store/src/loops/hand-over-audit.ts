import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import { isRefusal } from '@evenfall/errors';
import { superviseLoop } from '@evenfall/lifecycle';
import type { ClientOf } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import type { AuditOutbox } from '../ports.ts';

const BATCH = 500;
const TIMEOUT_MS = 10_000;
/** How long records may lie that another replica has folded, and did not come to hand over. */
const LOOK_MS = 10_000;

export type HandOverPorts = {
  readonly outbox: AuditOutbox;
  readonly registry: Pick<ClientOf<RegistryServiceService>, 'recordAudit'>;
  readonly log: Log;
};

/**
 * Hands audit records that were folded to the registry, which keeps each once, and takes them away when it has them. Apart from the fold: while the
 * registry is away records wait in the database. Several replicas may do it at once.
 */
export function handOverAudit({ outbox, registry, log }: HandOverPorts): {
  readonly wake: () => void;
  run(signal: AbortSignal): Promise<void>;
} {
  let woken = Promise.withResolvers<undefined>();
  const rest = async (signal: AbortSignal): Promise<void> => {
    const wake = (): void => woken.resolve(undefined);
    const timer = setTimeout(wake, LOOK_MS);
    timer.unref();
    signal.addEventListener('abort', wake, { once: true });
    await woken.promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    woken = Promise.withResolvers();
  };
  const record = async (records: readonly AuditRecord[]): Promise<void> => {
    await registry.recordAudit({ records: [...records] }, { timeoutMs: TIMEOUT_MS });
  };
  /** One that is refused for good is said to the log, and does not keep the others back. */
  const recordEach = async (records: readonly AuditRecord[]): Promise<void> => {
    for (const one of records) {
      await record([one]).catch((error: unknown) => {
        if (!isForGood(error)) throw error;
        const { keyId: key, address, operation, namespace, subject } = one;
        log.error('the registry refuses an audit record: it is dropped', error, { key, address, operation, namespace, subject });
      });
    }
  };
  return {
    wake: () => woken.resolve(undefined),
    run(signal) {
      const onFailure = (error: unknown): void =>
        log.warn('audit records of terminations cannot be handed to the registry; they wait', { error: String(error) });
      return superviseLoop({ name: 'hand over audit', signal, onFailure }, async () => {
        const records = await outbox.first(BATCH);
        if (records.length > 0) {
          await record(records).catch((error: unknown) => {
            if (!isForGood(error)) throw error;
            return recordEach(records);
          });
          await outbox.remove(records.map(({ id }) => id));
        }
        if (records.length < BATCH && !signal.aborted) await rest(signal);
      });
    },
  };
}

function isForGood(error: unknown): boolean {
  return isRefusal(error) && error.status === 'INVALID_ARGUMENT';
}
