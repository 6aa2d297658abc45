import type {
  ListFunctionsRequest,
  ListFunctionsResponse,
  ListFunctionVersionsRequest,
  ListFunctionVersionsResponse,
} from '@evenfall/contracts/v1/function_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { invalidField, orThrow, refuse } from '@evenfall/errors';
import { namespaceRefusal, PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import type { Registry } from '../ports.ts';
import { findFunction } from './find-function.ts';

const bytesOf = (fn: FunctionMessage): number => FunctionMessage.encode(fn).finish().length;

/** Lists the functions of a namespace by name. A namespace without functions is an empty one. */
export async function listFunctions(registry: Registry, request: ListFunctionsRequest): Promise<ListFunctionsResponse> {
  const { namespace, filter } = request;
  orThrow(namespaceRefusal(namespace));
  if (!/^[\w-]{0,60}$/.test(filter)) throw invalidField('filter', 'part of a name: at most 60 letters, digits, "-" and "_"');
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.functions);
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
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.functionVersions);
  const before = Number(readPageToken(request.pageToken, /^\d{1,10}$/, 'versions', namespace, name) || 2 ** 31 - 1);
  if (!Number.isInteger(before) || before >= 2 ** 31) throw refuse('INVALID_PAGE_TOKEN');
  const found = await registry.store.listVersions(namespace, name, before, size + 1);
  const { items, last } = cutPage(found, size, bytesOf);
  return { functions: [...items], nextPageToken: last ? pageToken(last.version, 'versions', namespace, name) : '' };
}
