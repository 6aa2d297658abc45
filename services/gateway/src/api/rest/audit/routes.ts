import { auditFlows } from '../../../flows/manage-keys.ts';
import { accessOf } from '../../http/rights.ts';
import { pageOf } from '../json/schema.ts';
import { dateOf, pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { recordJson } from './mapping.ts';
import { AuditQuery, AuditRecord } from './schema.ts';

export const auditRoutes: RestPlugin = async (app) => {
  app.get(
    '/v1/audit-records',
    {
      schema: {
        tags: ['audit'],
        operationId: 'listAuditRecords',
        summary: 'Lists who changed what, newest first',
        querystring: AuditQuery,
        response: { 200: pageOf('audit_records', AuditRecord) },
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
        ...pageFrom(query),
      });
      return { audit_records: page.auditRecords.map(recordJson), next_page_token: page.nextPageToken };
    },
  );
};
