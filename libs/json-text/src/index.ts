export { compact, compactBytes, pretty } from './layout.ts';
export { jsonOrString } from './json-or-string.ts';
export { parseKeeping, RawJson, rawText, stringify } from './raw-json.ts';
export { checkEnd, JsonFault, readArray, readObject, readString, skipSpace, skipValue } from './scan.ts';
export { visible, visibleLines } from './visible.ts';
