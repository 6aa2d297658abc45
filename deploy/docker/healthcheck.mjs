// node healthcheck.mjs [/healthz | /readyz]: requests the health of the process in this container.
const url = `http://127.0.0.1:${process.env.EVENFALL_METRICS_PORT ?? '9464'}${process.argv[2] ?? '/healthz'}`;
const said = await fetch(url, { signal: AbortSignal.timeout(2_500) }).then(
  async (answer) => ({ ok: answer.ok, text: await answer.text() }),
  (error) => ({ ok: false, text: String(error.cause ?? error) }),
);
console.log(said.text); // shown by `docker inspect`
process.exit(said.ok ? 0 : 1);
