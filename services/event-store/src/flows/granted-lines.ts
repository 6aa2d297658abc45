import type { AppendLogLinesRequest, LogGrant, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { refuse } from '@evenfall/errors';
import { cutText } from '@evenfall/event-model';
import { type Granted, grantedAttempt, grantedPackage, type GrantChecker } from '@evenfall/grants';
import { isUuid } from '@evenfall/time';
import { MOST_LINES_OF_ATTEMPT } from '../domain/line-budgets.ts';

/** Agents send half of it. */
const MOST_LINES = 1_000;
const MOST_GRANTS = 1_000;
/** Agents cut at 8 KB. */
const TEXT_BYTES = 16 * 1024;
const INSTANCE_ID_LENGTH = 128;
const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const STREAMS: ReadonlySet<number> = new Set([Stream.STDOUT, Stream.STDERR, Stream.PLATFORM, Stream.ERROR]);

/**
 * The lines of a request that its agent may store: those of attempts and instances that it shows a grant of. One check for each attempt, none for
 * lines. What is beyond its limits is left out as well, so that one line does not hold up the others. Throws INVALID_FIELD for too many, and what
 * asking for keys throws.
 */
export async function grantedLines(
  grants: GrantChecker,
  { agentId, lines, grants: shown }: AppendLogLinesRequest,
): Promise<StoredLogLine[]> {
  if (lines.length > MOST_LINES) throw refuse('INVALID_FIELD', { field: 'lines', rule: `at most ${MOST_LINES}` });
  if (shown.length > MOST_GRANTS) throw refuse('INVALID_FIELD', { field: 'grants', rule: `at most ${MOST_GRANTS}` });
  if (!AGENT_ID.test(agentId)) throw refuse('INVALID_FIELD', { field: 'agent_id', rule: 'letters, digits, ".", "_" and "-", at most 128' });
  const claims = shown.flatMap((grant) => {
    const granted = isUuid(grant.eventId) ? grantedOf(grant) : undefined;
    return granted === undefined ? [] : [{ granted, grant: grant.grant, key: keyOf(grant.eventId, grant.attempt) }];
  });
  const good = await grants.check(agentId, claims);
  const mayStore = new Set(claims.flatMap(({ key }, n) => (good[n] ? [key] : [])));
  return lines.flatMap((one) => {
    const { line, eventId, sequence } = one;
    if (!line || !mayStore.has(keyOf(eventId, line.attempt))) return [];
    if (sequence < 1 || sequence > MOST_LINES_OF_ATTEMPT || !STREAMS.has(line.stream) || line.instanceId.length > INSTANCE_ID_LENGTH)
      return [];
    return line.text.length <= TEXT_BYTES ? [one] : [{ ...one, line: { ...line, text: cutText(line.text, TEXT_BYTES) } }];
  });
}

/** What a grant is about. An instance has one attempt at its name, the first. */
function grantedOf({ eventId, attempt, partition, codeSha256 }: LogGrant): Granted | undefined {
  if (codeSha256 === undefined) return grantedAttempt({ eventId, attempt, partition });
  return attempt === 1 && partition === undefined && DIGEST.test(codeSha256) ? grantedPackage(eventId, codeSha256) : undefined;
}

function keyOf(eventId: string, attempt: number): string {
  return `${eventId}/${attempt}`;
}
