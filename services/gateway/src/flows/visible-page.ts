import { pageSizeOf, pageToken } from '@evenfall/paging';

/** Items of one answer at most, and by default. */
const MOST = 100;

type Asked = { readonly pageSize: number; readonly pageToken: string };
type Page<T> = { readonly items: readonly T[]; readonly nextPageToken: string };

/**
 * Reads on until a page is full of what a key may see. A list that is narrowed after it was read would say how many there are of others, and its token names
 * the last one, which may be another's: here it names the last that is shown.
 */
export async function visiblePage<T>(
  asked: Asked,
  read: (asked: Asked) => Promise<Page<T>>,
  { sees, tokenOf }: { sees(item: T): boolean; tokenOf(item: T): readonly [after: string, ...filter: string[]] },
): Promise<Page<T>> {
  const size = pageSizeOf(asked.pageSize, { default: MOST, most: MOST });
  const items: T[] = [];
  for (let token = asked.pageToken; ;) {
    const page = await read({ pageSize: MOST, pageToken: token });
    for (const item of page.items) {
      if (!sees(item)) continue;
      const last = items.at(-1);
      if (last !== undefined && items.length === size) return { items, nextPageToken: pageToken(...tokenOf(last)) };
      items.push(item);
    }
    token = page.nextPageToken;
    if (token === '') return { items, nextPageToken: '' };
  }
}
