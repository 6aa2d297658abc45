// The APIs, for EVENFALL_FUZZ_SECONDS, 20 by default: what no client would send, with a key, with a wrong one and without, over HTTP/1,
// HTTP/2, gRPC, the forms and signatures of SCF, streams of events, and as bytes. EVENFALL_FUZZ_SEED makes the order again. Meanwhile a function is called
// at a steady pace from another address. No caller gets an answer that blames the platform, every service keeps running, and memory is bounded. A run of
// five minutes and more also looks at the time of the calls: at most twice their quiet time.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { AuditServiceService } from '@evenfall/contracts/v1/audit_service';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { InvocationServiceService } from '@evenfall/contracts/v1/invocation_service';
import { LogServiceService } from '@evenfall/contracts/v1/log_service';
import { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { eventually } from '@evenfall/testkit';
import { AUDIENCE, type Issuer, newKey, type SigningKey, startIssuer } from '../../services/gateway/src/testing/issuer.ts';
import { randomOf } from '../support/random.ts';
import { residentMb } from '../support/processes.ts';
import { startStack, type Stack } from '../support/stack.ts';
import type { Orders, Report } from './apis/attackers.ts';
import type { Target } from './apis/target.ts';
import { anyTokens, oddKeySets } from './apis/tokens.ts';
import { zipOf } from '../support/zip.ts';
import { percentile, startCaller } from './steady-caller.ts';

const SECONDS = Number(process.env['EVENFALL_FUZZ_SECONDS'] ?? 20);
const SEED = Number(process.env['EVENFALL_FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9));
const IS_TIMED = SECONDS >= 300;
const CODE = 'exports.handler = async (event) => event;';
const QUIET_MS = IS_TIMED ? 30_000 : 2_000;
/** What the platform may hold more than before it was attacked, megabytes, once its garbage is collected; a short run begins before its caches are full. */
const MORE_MB = IS_TIMED ? 200 : 350;
const SERVICES = [
  AccessKeyServiceService,
  AuditServiceService,
  EventServiceService,
  FunctionServiceService,
  InvocationServiceService,
  LogServiceService,
  OperatorServiceService,
  QuotaServiceService,
];

describe('APIs that are attacked', { timeout: (SECONDS + 300) * 1_000 }, () => {
  let stack: Stack;
  let issuer: Issuer;
  let keys: readonly [SigningKey, SigningKey];
  before(async () => {
    keys = [await newKey('first', 'ES256'), await newKey('second')];
    issuer = await startIssuer(...keys);
    const oidc = { EVENFALL_OIDC_ISSUER: issuer.url, EVENFALL_OIDC_AUDIENCE: AUDIENCE, EVENFALL_OIDC_ROLES: 'platform=admin@*' };
    stack = await startStack({ collectable: true, env: oidc });
    await stack.rest.deploy({ name: 'other', runtime: 'nodejs', handler: 'index.handler' }, { 'index.js': CODE });
  });
  after(async () => {
    await stack.dispose();
    await issuer.stop();
  });

  it(`serve others, and are never at fault (EVENFALL_FUZZ_SEED=${SEED})`, async (test) => {
    const quiet = startCaller(stack, 'other');
    await sleep(QUIET_MS);
    const quietMs = await quiet.stop();
    stack.collectGarbage();
    const quietMb = residentMb(stack.pid);
    const caller = startCaller(stack, 'other');
    const random = randomOf(SEED);
    const tokens = await anyTokens(issuer, keys, random);
    const orders: Orders = { target: { ...(await targetOf(stack)), tokens }, seed: SEED, seconds: SECONDS };
    // Tokens name keys that are not there: the issuer is asked again, and shows others.
    const sets = [...oddKeySets(keys[0]), [keys[0].jwk, keys[1].jwk]];
    const turning = setInterval(() => (issuer.shown = sets[issuer.asked % sets.length] as Issuer['shown']), 500); // some of them are none

    const worker = new Worker(new URL('./apis/attackers.ts', import.meta.url), { workerData: orders });
    let last: Report | undefined;
    worker.on('message', (report: Report) => {
      last = report;
      test.diagnostic(`${report.attacks} attacks, ${Math.round(residentMb(stack.pid))} MB`);
    });
    await once(worker, 'exit');
    clearInterval(turning);
    const attackedMs = await caller.stop();
    assert.ok(last?.isOver, 'the attackers came to their end');
    const outcomes = [...last.outcomes].sort();
    for (const [outcome, count] of outcomes) test.diagnostic(`${String(count).padStart(6)} × ${outcome}`);
    const p99 = { quiet: percentile(quietMs, 0.99), attacked: percentile(attackedMs, 0.99) };
    test.diagnostic(
      `calls of another: p50 ${percentile(quietMs, 0.5).toFixed(1)} → ${percentile(attackedMs, 0.5).toFixed(1)} ms, ` +
        `p99 ${p99.quiet.toFixed(1)} → ${p99.attacked.toFixed(1)} ms, worst ${Math.max(...attackedMs).toFixed(0)} ms, of ${attackedMs.length}`,
    );
    assert.deepEqual(
      outcomes.filter(([outcome]) => outcome.includes('FAULT')),
      [],
    );
    for (const kind of ['rest 2', 'rest 4', 'scf 200', 'grpc 0', 'grpc 16', 'code 0', 'code 16', 'raw http 400'])
      assert.ok(
        outcomes.some(([outcome]) => outcome.startsWith(kind)),
        `no attack came to "${kind}": they do not reach what they are for`,
      );
    assert.equal((await fetch(`${stack.http}/readyz`)).status, 200);
    let looks = 0;
    await eventually(async () => {
      if (looks++ > 0) await sleep(1_000); // a collection takes a while, and is not to wait for another
      stack.collectGarbage();
      const nowMb = residentMb(stack.pid);
      assert.ok(nowMb < quietMb + MORE_MB, `${Math.round(quietMb)} MB before, ${Math.round(nowMb)} MB after`);
      return true;
    }, 60_000);
    test.diagnostic(`memory of the platform: ${Math.round(quietMb)} → ${Math.round(residentMb(stack.pid))} MB`);
    if (IS_TIMED) assert.ok(p99.attacked <= 2 * p99.quiet, `p99 of the calls: ${p99.quiet} ms quiet, ${p99.attacked} ms under attack`);
  });
});

/** What there is to attack, as the platform itself says. */
async function targetOf({ http, grpc, metrics, accessKey, rest }: Stack): Promise<Omit<Target, 'tokens'>> {
  type Document = { readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
  const { body } = await rest.call<Document>('GET', '/openapi.json');
  const operations = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
  const methods = SERVICES.flatMap((service) => Object.values<{ readonly path: string }>(service).map(({ path }) => path));
  const code = (await zipOf({ 'index.js': CODE })).toString('base64');
  return { http, grpc, metrics, accessKey, operations, methods, code };
}
