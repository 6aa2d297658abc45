import { pick, type Random } from '../support/random.ts';
import { HABITS, TEXTS } from './habits.ts';

/** Bytes in Base64, and how often they stand there: events are small, what is made of them is not. */
type Repeated = readonly [base64: string, times: number];

function repeated(bytes: string | Buffer, times = 1): Repeated {
  return [(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes).toString('base64'), times];
}

const LAMBDA = '{ROOT}/2018-06-01/runtime';

/** An event for a hostile function: what it shall do. */
export function payloadFor(name: string, random: Random): object {
  const whole = (below: number): number => Math.floor(random() * below);
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => whole(256)));
  switch (name) {
    case 'hostile-node':
      return { node: pick(random, NODE)(whole(10_000)) };
    case 'hostile-custom':
      return {
        raw: Array.from({ length: 1 + whole(6) }, () => requestOf(random, bytes)),
        ...(random() < 0.2 ? { python: pick(random, HABITS)(whole(1_000)) } : {}),
      };
    case 'hostile-web':
      return {
        raw: Array.from({ length: 1 + whole(3) }, () => answerOf(random, bytes)),
        times: pick(random, [1, 1, 1, 50]),
        pause: pick(random, [0, 0, 0.2, 5]),
        open: random() < 0.2,
        ...(random() < 0.2 ? { python: pick(random, HABITS)(whole(1_000)) } : {}),
      };
    case 'hostile-go':
      return { any: whole(10) };
    default: {
      const parts = Array.from({ length: 1 + whole(3) }, () => pick(random, random() < 0.5 ? TEXTS : HABITS)(whole(10_000)));
      return { python: parts.join('\n') };
    }
  }
}

/** A request to the runtime API: a right one with one thing wrong, or no request at all. */
function requestOf(random: Random, bytes: (length: number) => Buffer): Repeated[] {
  const path = pick(random, [
    `${LAMBDA}/invocation/{ID}/response`,
    `${LAMBDA}/invocation/{ID}/error`,
    `${LAMBDA}/invocation/${'9'.repeat(5_000)}/response`,
    `${LAMBDA}/invocation/../../{ID}/response`,
    `${LAMBDA}/init/error`,
    '{ROOT}/runtime/init/ready',
    '{ROOT}/runtime/invocation/response',
    '{ROOT}/evenfall/v1/extend?ms=1e309',
    '{ROOT}/evenfall/v1/extend?ms=-5',
    '{ROOT}/evenfall/v1/extend?ms=999999999999999999999',
    '{ROOT}/2020-01-01/extension/event/next',
    '/%00%ff',
    '*',
  ]);
  const method = pick(random, ['POST', 'POST', 'GET', 'PUT', 'CONNECT', 'OPTIONS', 'PRI']);
  const head = pick<Repeated[]>(random, [
    [repeated('Content-Length: 10')],
    [repeated('Content-Length: 99999999999')],
    [repeated('Content-Length: 5\r\nContent-Length: 6')],
    [repeated('Transfer-Encoding: chunked')],
    [repeated('Expect: 100-continue\r\nContent-Length: 4')],
    [repeated('X: '), repeated('y', 100_000)],
    [repeated('Lambda-Runtime-Function-Error-Type: \u0007\u001b[2J')],
    [repeated('Upgrade: websocket\r\nConnection: upgrade')],
  ]);
  const body = pick<Repeated>(random, [
    repeated('"0123456"'),
    repeated(bytes(1_000)),
    repeated('ffffffff\r\nxx'),
    repeated('[', 100_000),
    repeated('1', 7_000_000),
    repeated(''),
  ]);
  if (random() < 0.1) return [repeated(bytes(2_000))];
  return [repeated(`${method} ${path} HTTP/1.1\r\nHost: x\r\n`), ...head, repeated('\r\n\r\n'), body];
}

/** An answer of a web server, or something like it. */
function answerOf(random: Random, bytes: (length: number) => Buffer): Repeated[] {
  const line = pick(random, [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 999 X',
    'HTTP/1.1 101 Switching Protocols',
    'HTTP/1.1 100 Continue',
    'HTTP/9.9 200',
    'ICY 200',
  ]);
  const head = pick<Repeated[]>(random, [
    [repeated('Content-Length: 2')],
    [repeated('Content-Length: 99999999999999')],
    [repeated('Content-Length: -2')],
    [repeated('Transfer-Encoding: chunked')],
    [repeated('Content-Encoding: gzip\r\nContent-Length: 5')],
    [repeated('X: '), repeated('y', 300_000)],
    [repeated('x-fc-status: 404\r\nContent-Length: 2')],
    [repeated('h: v\r\n', 3_000), repeated('h: v')],
  ]);
  const body = pick<Repeated>(random, [
    repeated('{}'),
    repeated(bytes(500)),
    repeated('5\r\nabc'),
    repeated('x', 7_000_000),
    repeated('data: {}\n\n</script><script>alert(1)</script>'),
  ]);
  return random() < 0.1 ? [repeated(bytes(3_000))] : [repeated(`${line}\r\n`), ...head, repeated('\r\n\r\n'), body];
}

/** What a Node function does. Each is the text of a function of `(context, require)`. */
const NODE: readonly [(n: number) => string, ...((n: number) => string)[]] = [
  () => '() => { const o = {}; o.o = o; return o; }',
  () => '() => { let o = []; for (let i = 0; i < 100000; i++) o = [o]; return o; }',
  () => '() => "x".repeat(7e6)',
  () => '() => BigInt(10)',
  () => '() => { throw { toString() { throw 1; }, get message() { throw 2; } }; }',
  () => '() => { throw new Error("\\u0000\\u001b[2J\\u202e" + "y".repeat(1e6)); }',
  (n) => `(c, require) => { process.kill(-1, ${n % 30}); }`,
  () => '() => { process.exitCode = 300; process.exit(); }',
  () => '() => { process.stdout.write("y".repeat(5e6)); return 1; }',
  () => '() => { for (;;); }',
  () => '() => { const all = []; for (;;) all.push(Buffer.alloc(1e7, 1)); }',
  () => '(c, require) => { for (let i = 0; i < 400; i++) require("child_process").spawn("sleep", ["60"], { detached: true }); }',
  () => '(c, require) => { for (let i = 3; i < 40; i++) try { require("fs").closeSync(i); } catch {} return 1; }',
  () =>
    '(c, require) => { for (let i = 3; i < 20; i++) try { require("fs").writeSync(i, require("crypto").randomBytes(9999)); } catch {} return 1; }',
  () => '() => { process.on("SIGTERM", () => {}); return new Promise(() => setInterval(() => {}, 1000)); }',
  () => '() => { Object.prototype.toJSON = () => { throw 1; }; Array.prototype.push = () => {}; return 1; }',
  () => '() => { setTimeout(() => { throw new Error("later"); }, 20); return 1; }',
  () => '() => Promise.reject()',
];
