import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { eventually, tempDir } from '@evenfall/testkit';
import { type Program, startProgram } from './testing/program.ts';

const ROOT = new URL('../../../', import.meta.url);
const PAGE = new URL('docs/reference/metrics.md', ROOT);
const EVENTS = 40;

type Metric = { readonly name: string; readonly kind: string; readonly meaning: string };

/** Metrics of a scrape. */
function metricsOf(scrape: string): Metric[] {
  const kinds = new Map([...scrape.matchAll(/^# TYPE (evenfall_\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => [name, kind]));
  return [...scrape.matchAll(/^# HELP (evenfall_\S+) (.*)$/gm)].map(([, name = '', meaning = '']) => ({
    name: name + [...labelsOf(scrape, name)].map((label) => `{${label}}`).join(''),
    kind: kinds.get(name) ?? '',
    meaning,
  }));
}

function labelsOf(scrape: string, name: string): Set<string> {
  const lines = scrape.matchAll(new RegExp(`^${name}\\{(.*)\\} \\S+`, 'gm'));
  const labels = [...lines].flatMap(([, text = '']) => [...text.matchAll(/(\w+)="/g)].map(([, label = '']) => label));
  return new Set(labels.filter((label) => !label.startsWith('otel_')));
}

/** The value of a metric; of one with labels the sum. */
function valueOf(scrape: string, name: string): number {
  const values = [...scrape.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'gm'))].map(([, value]) => Number(value));
  assert.ok(values.length > 0, `${name} is not there`);
  return values.reduce((sum, value) => sum + value, 0);
}

describe('The metrics of a started stack', () => {
  const dir = tempDir('metrics');
  let program: Program;
  let urls: Awaited<Program['ready']>;
  let key: string;
  const scrape = async (): Promise<string> => (await fetch(`${urls.metrics}/metrics`)).text();

  before(async () => {
    program = startProgram({ EVENFALL_DATA_DIR: dir.path });
    urls = await program.ready;
    key = readFileSync(`${dir.path}/access-key`, 'utf8').trim();
  });
  after(async () => {
    program.child.kill('SIGTERM');
    await program.ended;
    dir.remove();
  });

  it('count what has happened, and lose nothing', async () => {
    const cli = fileURLToPath(new URL('tools/cli/src/main.ts', ROOT));
    const example = fileURLToPath(new URL('examples/functions/echo', ROOT));
    await promisify(execFile)(process.execPath, [cli, '--url', urls.http, '--access-key', key, 'deploy', example]);
    const events = `${urls.http}/v1/namespaces/default/functions/echo/events`;
    const post = (n: number): Promise<Response> =>
      fetch(events, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': `k${n}` },
        body: '{}',
      });
    // Half of the keys come twice: the second accept makes no second event.
    const answers = await Promise.all(Array.from({ length: EVENTS * 1.5 }, (_, i) => post(i % EVENTS)));
    assert.ok(answers.every((answer) => answer.status === 202));
    assert.equal((await fetch(`${urls.http}/nowhere`, { headers: { authorization: `Bearer ${key}` } })).status, 404);

    const text = await eventually(async () => {
      const now = await scrape();
      const isQuiet = ['queue_open', 'event_store_behind_records', 'event_store_open_events'].every(
        (name) => valueOf(now, `evenfall_${name}`) === 0,
      );
      // A scrape reads one metric after the other: the log's count may be older than the view's, or newer.
      const isFolded = valueOf(now, 'evenfall_event_log_records_total') === valueOf(now, 'evenfall_event_store_records_folded_total');
      return valueOf(now, 'evenfall_queue_ended_total') >= EVENTS && isQuiet && isFolded ? now : undefined;
    }, 20_000);
    const value = (name: string): number => valueOf(text, `evenfall_${name}`);
    assert.equal(value('queue_balance'), 0);
    assert.equal(value('queue_accepted_total'), EVENTS);
    assert.equal(value('queue_ended_total'), EVENTS);
    assert.ok(value('event_log_appends_total') >= value('event_log_flushes_total'));
    assert.ok(value('event_store_fold_batches_total') > 0);
    assert.ok(value('scheduler_instance_starts_total') >= 1);
    assert.equal(value('scheduler_instance_start_failures_total'), 0);
    assert.equal(value('scheduler_instances'), value('instance_agent_instances'));
    assert.equal(value('scheduler_agents'), 1);
    assert.equal(value('registry_functions'), 1);
    assert.equal(value('instance_agent_outcomes_retained'), 0);
    assert.match(text, /^evenfall_gateway_refusals_total\{reason="UNKNOWN_PATH".*\} 1$/m);
    assert.ok(value('gateway_requests_total') > EVENTS * 1.5);
  });

  it('are those of the page', async () => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    // Only lanes in which an event waits at that moment are shown.
    const found = await eventually(async () => {
      await fetch(`${urls.http}/v1/namespaces/default/functions/echo/events`, { method: 'POST', headers, body: '{}' });
      const now = metricsOf(await scrape());
      return now.some(({ name }) => name === 'evenfall_queue_lane_waiting{lane}') && now;
    }, 20_000);
    found.sort((a, b) => (a.name < b.name ? -1 : 1));
    const page = readFileSync(PAGE, 'utf8');
    if (process.env['UPDATE_METRICS']) {
      const rows = found.map(({ name, kind, meaning }) => `| \`${name}\` | ${kind} | ${meaning} |`);
      writeFileSync(
        PAGE,
        `${page.slice(0, page.indexOf('| metric'))}| metric | kind | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`,
      );
      return;
    }
    const listed = [...page.matchAll(/^\| `(evenfall_[^`]+)`\s*\| (\w+)\s*\| (.*?)\s*\|$/gm)].map(([, name, kind, meaning]) => ({
      name,
      kind,
      meaning,
    }));
    assert.deepEqual(found, listed);
  });

  it('lose nothing when the process is killed', async () => {
    const events = `${urls.http}/v1/namespaces/default/functions/echo/events`;
    for (let i = 0; i < 3; i++) {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'evenfall-delay': '1h' };
      assert.equal((await fetch(events, { method: 'POST', headers, body: '{}' })).status, 202);
    }
    program.child.kill('SIGKILL');
    await program.ended;
    program = startProgram({ EVENFALL_DATA_DIR: dir.path });
    urls = await program.ready;
    const text = await eventually(async () => {
      const now = await scrape();
      return valueOf(now, 'evenfall_queue_open') === 3 ? now : undefined;
    }, 20_000);
    assert.equal(valueOf(text, 'evenfall_queue_accepted_total'), 0);
    assert.equal(valueOf(text, 'evenfall_queue_taken_over'), 3);
    assert.equal(valueOf(text, 'evenfall_queue_balance'), 0);
  });
});
