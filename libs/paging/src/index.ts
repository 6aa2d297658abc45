export { LISTS } from './list-names.ts';
export { countThatFit, cutPage, PAGE_BYTES, type Page } from './page-bytes.ts';
export { type PageSizes, pageSizeOf } from './page-size.ts';
export { pageToken, readPageToken } from './page-token.ts';
