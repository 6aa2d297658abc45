import { type AuditRecord, AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { auditFlows } from '../../../flows/manage-keys.ts';
import { dateOf } from '../json/dates.ts';
import { nameOf } from '../json/enum-names.ts';
import { accessOf } from '../../http/rights.ts';
import { PageQuery, pageOf, textWithoutNul, Time } from '../json/schemas.ts';

const Query = Type.Object(
  {
    ...PageQuery,
    key_id: Type.Optional(textWithoutNul('Only of this key.', 128)),
    action: Type.Optional(textWithoutNul('Only of this right, such as functions.write.', 128)),
    namespace: Type.Optional(textWithoutNul('Only in this namespace.', 128)),
    subject: Type.Optional(textWithoutNul('Only about this function, event, agent or key.', 128)),
    start_time: Type.Optional(Time),
    end_time: Type.Optional(Time),
  },
  { additionalProperties: false },
);

export function auditRoutes(app: FastifyInstance): void {
  app.get<{ Querystring: Static<typeof Query> }>(
    '/v1/audit-records',
    {
      schema: {
        tags: ['audit'],
        operationId: 'listAuditRecords',
        summary: 'Lists who changed what, newest first',
        querystring: Query,
        response: { 200: pageOf('audit_records', 'AuditRecord') },
      },
    },
    async (request) => {
      const { query } = request;
      const page = await auditFlows(request.gateway, accessOf(request)).listAuditRecords({
        keyId: query.key_id ?? '',
        action: query.action ?? '',
        namespace: query.namespace ?? '',
        subject: query.subject ?? '',
        startTime: dateOf('start_time', query.start_time),
        endTime: dateOf('end_time', query.end_time),
        pageSize: query.page_size ?? 0,
        pageToken: query.page_token ?? '',
      });
      return { audit_records: page.auditRecords.map(recordJson), next_page_token: page.nextPageToken };
    },
  );
}

function recordJson(record: AuditRecord): object {
  return {
    id: record.id,
    time: record.time ?? null,
    key_id: record.keyId,
    address: record.address,
    api: nameOf(AuditRecord_Api, record.api) ?? null,
    action: record.action,
    operation: record.operation,
    namespace: record.namespace === '' ? null : record.namespace,
    subject: record.subject === '' ? null : record.subject,
    outcome: record.outcome,
  };
}
