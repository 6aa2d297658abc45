import { listPutAside } from '../../../flows/list-put-aside.ts';
import { purge } from '../../../flows/purge.ts';
import { emptyIsObject } from '../../http/validation.ts';
import { Paging } from '../json/fields.ts';
import { dateOf, pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { partitionJson, putAsideJson } from './mapping.ts';
import { PurgeAnswer, PurgeBody, PutAsidePage } from './schema.ts';

const TAGS = ['operators'];

/** What the event view keeps and drops, and records that it could not apply. */
export const retentionRoutes: RestPlugin = async (app) => {
  app.get(
    '/v1/put-aside-records',
    {
      schema: {
        tags: TAGS,
        operationId: 'listPutAsideRecords',
        summary: 'Lists records of the event log that could not be read or shown',
        querystring: Paging,
        response: { 200: PutAsidePage },
      },
    },
    async ({ query, gateway }) => {
      const { records, totalSize, nextPageToken } = await listPutAside(gateway, pageFrom(query));
      return { records: records.map(putAsideJson), total_size: Number(totalSize), next_page_token: nextPageToken };
    },
  );
  app.post(
    '/v1/purge',
    {
      schema: {
        tags: TAGS,
        operationId: 'purge',
        summary: 'Drops what is past its retention now, or shows what a purge would drop',
        body: PurgeBody,
        response: { 200: PurgeAnswer },
      },
      preValidation: emptyIsObject,
    },
    async ({ body, gateway }) => {
      const time = body.time === undefined ? undefined : dateOf('time', body.time);
      const { partitions, heldBack } = await purge(gateway, { dryRun: body.dry_run ?? false, time });
      return { partitions: partitions.map(partitionJson), held_back: heldBack };
    },
  );
};
