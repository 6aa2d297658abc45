/**
 * Headers of every answer. No CORS header is among them: pages of other origins are to read nothing. The referrer policy is not `no-referrer`,
 * which makes browsers send `Origin: null` with forms of our own pages.
 */
export const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'same-origin',
} as const;

/** Headers of pages beside those: a page that opens one keeps no handle on it. Pages write a content security policy of their own. */
export const PAGE_HEADERS = { 'cross-origin-opener-policy': 'same-origin' } as const;
