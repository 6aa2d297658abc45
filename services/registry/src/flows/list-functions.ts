import type {
  ListFunctionsRequest,
  ListFunctionsResponse,
  ListFunctionVersionsRequest,
  ListFunctionVersionsResponse,
} from '@evenfall/contracts/v1/function_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { cutPage, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import { invalid } from '../domain/fields.ts';
import { checkNames } from '../domain/names.ts';
import type { Registry } from '../ports.ts';
import { findFunction } from './find-function.ts';

const DEFAULT = 20;
const MOST = 100;
const bytesOf = (fn: FunctionMessage): number => FunctionMessage.encode(fn).finish().length;

/** Lists the functions of a namespace by name. A namespace without functions is an empty one. */
export async function listFunctions(registry: Registry, request: ListFunctionsRequest): Promise<ListFunctionsResponse> {
  const { namespace, filter } = request;
  checkNames(namespace);
  if (!/^[\w-]{0,60}$/.test(filter)) throw invalid('filter', 'part of a name: at most 60 letters, digits, "-" and "_"');
  const size = pageSizeOf(request.pageSize, DEFAULT, MOST);
  const after = readPageToken(request.pageToken, /^[\w-]+$/, 'functions', namespace, filter);
  const found = await registry.store.list(namespace, filter, after, size + 1);
  const { items, last } = cutPage(found, size, bytesOf);
  return { functions: [...items], nextPageToken: last ? pageToken(last.name, 'functions', namespace, filter) : '' };
}

/** Lists published versions, newest first. */
export async function listFunctionVersions(
  registry: Registry,
  request: ListFunctionVersionsRequest,
): Promise<ListFunctionVersionsResponse> {
  const { namespace, name } = request;
  await findFunction(registry, { namespace, name, qualifier: '' });
  const size = pageSizeOf(request.pageSize, DEFAULT, MOST);
  const before = Number(readPageToken(request.pageToken, /^\d{1,10}$/, 'versions', namespace, name) || 2 ** 31 - 1);
  if (!Number.isInteger(before) || before >= 2 ** 31) throw refuse('INVALID_PAGE_TOKEN');
  const found = await registry.store.listVersions(namespace, name, before, size + 1);
  const { items, last } = cutPage(found, size, bytesOf);
  return { functions: [...items], nextPageToken: last ? pageToken(last.version, 'versions', namespace, name) : '' };
}
