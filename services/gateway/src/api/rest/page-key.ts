/**
 * Script of the pages: takes the access key out of the address (`#key=id:secret`), which no browser sends along, and adds it to what the page asks of its own
 * origin. It is kept in memory only: neither the history nor another tab has it.
 */
export const PAGE_KEY_SCRIPT = `(() => {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (!key) return;
  history.replaceState(null, '', location.pathname);
  const ask = window.fetch;
  window.fetch = (target, options = {}) => {
    const url = new URL(target instanceof Request ? target.url : target, location.href);
    if (url.origin !== location.origin) return ask(target, options);
    const headers = new Headers(options.headers ?? (target instanceof Request ? target.headers : undefined));
    if (!headers.has('authorization')) headers.set('authorization', 'Bearer ' + key);
    return ask(target, { ...options, headers });
  };
})();
`;
