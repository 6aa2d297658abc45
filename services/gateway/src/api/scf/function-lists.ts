import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { Type } from '@sinclair/typebox';
import { getConcurrency } from '../../flows/get-concurrency.ts';
import { action, namespaceOf, type ScfCall } from './action.ts';
import { scfError } from './codes.ts';
import { describedParts, functionItem } from './function-answers.ts';
import { found } from './functions.ts';
import { statusOf } from './function-names.ts';
import { Limit, OF_FUNCTION, Offset, Order, STRICT, wordOf } from './parameters.ts';
import type { Zone } from './zone.ts';

const PAGE = 100;
/** Functions, and versions, that are read for one list. */
const MOST = 10_000;
const DEFAULT_LIMIT = 20;

const FunctionFilter = Type.Object(
  { Name: Type.String(), Values: Type.Array(Type.String(), { maxItems: 20, 'x-code': 'InvalidParameterValue.Filters' }) },
  STRICT,
);

export const listFunctions = action(
  Type.Object(
    {
      Namespace: Type.Optional(Type.String()),
      Order,
      Orderby: Type.Optional(wordOf(['AddTime', 'ModTime', 'FunctionName'], 'InvalidParameterValue')),
      Offset,
      Limit,
      SearchKey: Type.Optional(Type.String()),
      Description: Type.Optional(Type.String()),
      Filters: Type.Optional(Type.Array(FunctionFilter, { maxItems: 10, 'x-code': 'InvalidParameterValue.Filters' })),
    },
    STRICT,
  ),
  async ({ gateway, functions, zone }, input) => {
    const { Order: order = 'DESC', Orderby: orderBy = 'AddTime', SearchKey: filter = '', Description: description = '' } = input;
    const all = await readAll((pageToken) => functions.listFunctions({ namespace: namespaceOf(input), pageSize: PAGE, pageToken, filter }));
    const passes = filterOf(input.Filters ?? [], zone);
    const matching = all.filter((fn) => fn.description.includes(description) && passes(fn));
    const key = KEYS[orderBy];
    const sign = order === 'ASC' ? 1 : -1;
    matching.sort((a, b) => sign * (compare(key(a), key(b)) || compare(a.name, b.name)));
    const concurrency = await getConcurrency(gateway);
    return { Functions: pageOf(matching, input).map((fn) => functionItem(fn, zone, concurrency)), TotalCount: matching.length };
  },
);

export const listVersionByFunction = action(
  Type.Object(
    { ...OF_FUNCTION, Offset, Limit, Order, OrderBy: Type.Optional(wordOf(['AddTime', 'ModTime'], 'InvalidParameterValue.OrderBy')) },
    STRICT,
  ),
  async (call, input) => {
    const latest = await found(call, input, input.FunctionName);
    const published = await readAll((pageToken) =>
      call.functions.listFunctionVersions({ namespace: latest.namespace, name: latest.name, pageSize: PAGE, pageToken }),
    );
    // Newest first, as they come; versions never change, so by either time it is the same.
    if (input.Order === 'ASC') published.reverse();
    const page = pageOf([latest, ...published], input);
    return {
      FunctionVersion: page.map(({ version }) => version),
      Versions: page.map((fn) => versionItem(call, fn)),
      TotalCount: published.length + 1,
    };
  },
);

function versionItem({ zone }: ScfCall, fn: FunctionMessage) {
  return {
    Version: fn.version,
    Description: fn.description,
    AddTime: zone.seconds(fn.createTime),
    ModTime: zone.seconds(fn.updateTime),
    Status: statusOf(fn),
  };
}

/** Reads all pages: SCF numbers them and counts what is on all of them, which the registry does not. */
export async function readAll(
  readPage: (pageToken: string) => Promise<{ readonly functions: readonly FunctionMessage[]; readonly nextPageToken: string }>,
): Promise<FunctionMessage[]> {
  const all: FunctionMessage[] = [];
  for (let token = ''; all.length < MOST;) {
    const { functions, nextPageToken } = await readPage(token);
    all.push(...functions);
    if (nextPageToken === '') break;
    token = nextPageToken;
  }
  return all;
}

function pageOf<T>(all: readonly T[], { Offset: from = 0, Limit: limit = DEFAULT_LIMIT }: { Offset?: number; Limit?: number }): T[] {
  return all.slice(from, from + limit);
}

const KEYS = {
  AddTime: (fn: FunctionMessage) => fn.createTime?.getTime() ?? 0,
  ModTime: (fn: FunctionMessage) => fn.updateTime?.getTime() ?? 0,
  FunctionName: (fn: FunctionMessage) => fn.name,
} as const;

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Filters whose value no function here has. */
const NEVER = /^(VpcId|SubnetId|ClsTopicId|ClsLogsetId|Role|CfsId|CfsMountInsId|Eip|Stamp|tag-.{1,127})$/;

/** All filters have to pass, and of each one value. */
function filterOf(filters: readonly { readonly Name: string; readonly Values: readonly string[] }[], zone: Zone) {
  const tests = filters.map(({ Name: name, Values: values }) => {
    if (NEVER.test(name)) return () => false;
    const read = FILTERED[name];
    if (!read) throw scfError('InvalidParameterValue.Filters', 'There is no filter of this name.');
    return (item: ReturnType<typeof describedParts>) => values.includes(read(item));
  });
  return (fn: FunctionMessage): boolean => {
    if (tests.length === 0) return true;
    const item = describedParts(fn, zone);
    return tests.every((test) => test(item));
  };
}

const FILTERED: Readonly<Record<string, (item: ReturnType<typeof describedParts>) => string>> = {
  Status: (item) => item.Status,
  Runtime: (item) => item.Runtime,
  Type: (item) => item.Type,
  FunctionType: (item) => item.Type,
  PublicNetStatus: () => 'ENABLE',
  AsyncRunEnable: (item) => item.AsyncRunEnable,
  TraceEnable: (item) => item.TraceEnable,
};
