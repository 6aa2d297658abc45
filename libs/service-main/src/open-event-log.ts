import { type EventLog, openEmbeddedLog } from '@evenfall/event-log';
import type { Sql } from '@evenfall/postgres';
import type { Log } from '@evenfall/telemetry';

/** What opening the log may need. */
export type EventLogDeps = {
  /** The pool the embedded log is kept with; asked for only if it is the embedded one. */
  readonly pool: () => Sql | Promise<Sql>;
  readonly log: Log;
};

/** Opens the event log the settings name. The one place where the driver is chosen. */
export async function openEventLog(deps: EventLogDeps): Promise<EventLog> {
  return openEmbeddedLog({ sql: await deps.pool(), onFailure: (error, doing) => deps.log.error(doing, error) });
}
