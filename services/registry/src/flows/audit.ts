import type {
  ListAuditRequest,
  ListAuditResponse,
  RecordAuditRequest,
  RecordAuditResponse,
} from '@evenfall/contracts/registry/v1/registry_service';
import { AuditRecord, type ListAuditRecordsRequest, ListAuditRecordsRequest as Query } from '@evenfall/contracts/v1/audit_service';
import { invalidField } from '@evenfall/errors';
import { PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import { isUuid, timeOfUuidV7 } from '@evenfall/time';
import type { KeyRegistry } from '../ports.ts';

/** The longest value to filter by: the id of a token's subject is its issuer's name (31 characters) and 120 of the subject. */
const MOST_TEXT = 256;

const MOST_RECORDED = 1_000;
const UUID = /^[0-9a-f-]{36}$/;

/** Keeps records; those that are kept already are not kept twice. */
export async function recordAudit(registry: KeyRegistry, { records }: RecordAuditRequest): Promise<RecordAuditResponse> {
  if (records.length > MOST_RECORDED) throw invalidField('records', `at most ${MOST_RECORDED}`);
  for (const { id } of records) if (!isUuid(id) || timeOfUuidV7(id) === undefined) throw invalidField('records.id', 'a UUID of version 7');
  await registry.audit.record(records);
  return {};
}

/** Lists records, newest first. */
export async function listAudit(registry: KeyRegistry, request: ListAuditRequest): Promise<ListAuditResponse> {
  const query = request.query ?? Query.create();
  for (const [field, text] of [
    ['key_id', query.keyId],
    ['action', query.action],
    ['namespace', query.namespace],
    ['subject', query.subject],
  ] as const)
    if (text.length > MOST_TEXT || text.includes('\0') || !text.isWellFormed())
      throw invalidField(field, `at most ${MOST_TEXT} characters of Unicode, without NUL`);
  const size = pageSizeOf(query.pageSize, PAGE_SIZES.auditRecords);
  const filter = filterOf(query, request.namespaces);
  const before = readPageToken(query.pageToken, UUID, ...filter);
  const found = await registry.audit.list(query, request.namespaces.includes('*') ? 'all' : request.namespaces, before, size + 1);
  const { items, last } = cutPage(found, size, (record) => AuditRecord.encode(record).finish().length);
  return { auditRecords: [...items], nextPageToken: last ? pageToken(last.id, ...filter) : '' };
}

function filterOf(query: ListAuditRecordsRequest, namespaces: readonly string[]): string[] {
  const times = [query.startTime, query.endTime].map((time) => time?.toISOString() ?? '');
  return ['audit', query.keyId, query.action, query.namespace, query.subject, ...times, ...namespaces];
}
