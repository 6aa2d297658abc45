import { request } from 'node:http';
import { tc3Headers } from '../../../services/gateway/src/testing/tc3.ts';
import { pick, type Random } from '../../support/random.ts';
import { type Attack, bytes, type Target, wholeNumber, WORDS } from './target.ts';
import { anyValue } from './values.ts';

const WITHIN_MS = 3_000;
const ACTIONS = [
  'CreateFunction',
  'Invoke',
  'InvokeFunction',
  'GetFunction',
  'ListFunctions',
  'UpdateFunctionCode',
  'UpdateFunctionConfiguration',
  'ListAsyncEvents',
  'GetAsyncEventStatus',
  'TerminateAsyncEvent',
  'GetFunctionLogs',
  'PublishVersion',
  'CreateNamespace',
  'ListNamespaces',
  'NoSuchAction',
  '__proto__',
  '',
] as const;
const NAMES = [
  'FunctionName',
  'Code',
  'Handler',
  'Runtime',
  'Timeout',
  'InvokeRequestId',
  'Limit',
  'Offset',
  'StartTime',
  'ClientContext',
  'Environment',
] as const;
const VERSIONS = ['2018-04-16', '2018-04-16', '2018-04-16', '1999-01-01', ''] as const;

/** An action with parameters as drawn, signed rightly, wrongly, or not. */
export const callAction: Attack = (target, random, from) => {
  const body = Buffer.from(JSON.stringify({ ...parameters(random), Namespace: 'fuzz' }));
  if (random() < 0.2) body[wholeNumber(random, body.length)] = wholeNumber(random, 256);
  const [id = '', secret = ''] = target.accessKey.split(':', 2);
  const signed = tc3Headers({
    id: random() < 0.8 ? id : pick(random, WORDS).replaceAll(/[^\x21-\x7e]/g, '?'),
    secret: random() < 0.8 ? secret : 'wrong',
    host: new URL(target.http).host,
    body,
    ...(random() < 0.1 ? { atMs: pick(random, [0, 1e15, Date.now() - 3_600_000]) } : {}),
    ...(random() < 0.1 ? { service: 'cvm' } : {}),
  });
  const headers: Record<string, string> = {
    ...signed,
    'x-tc-action': pick(random, ACTIONS),
    'x-tc-version': pick(random, VERSIONS),
    'x-tc-region': 'ap-guangzhou',
  };
  if (random() < 0.15) {
    const authorization = Buffer.from(headers['authorization'] ?? '', 'latin1');
    authorization[wholeNumber(random, authorization.length)] = 33 + wholeNumber(random, 90);
    headers['authorization'] = authorization.toString('latin1');
  }
  return post(target, from, headers, body);
};

/** A form, as the older signature has it and as any page may send it. */
export const sendForm: Attack = (target, random, from) => {
  const fields: Record<string, string> = {
    Action: pick(random, ACTIONS),
    Version: pick(random, VERSIONS),
    SecretId: target.accessKey.split(':', 1)[0] ?? '',
    Timestamp: String(pick(random, [Math.floor(Date.now() / 1_000), 0, -1])),
    Nonce: String(wholeNumber(random, 1e6)),
    Signature: bytes(random, 20).toString('base64'),
    'Environment.Variables.0.Key': pick(random, WORDS),
    [`Code.${'A.'.repeat(wholeNumber(random, 300))}B`]: 'x',
    [`Tags.${wholeNumber(random, 1e9)}.Key`]: 'x',
    ...Object.fromEntries(Object.entries(parameters(random)).map(([name, value]) => [name, String(value)])),
  };
  const names = Object.keys(fields).filter(() => random() < 0.9);
  const text = names.map((name) => `${encodeURIComponent(name)}=${encodeURIComponent((fields[name] ?? '').toWellFormed())}`).join('&');
  const body = Buffer.from(random() < 0.05 ? `${text}&Pad=${'y'.repeat(wholeNumber(random, 3_000_000))}` : text);
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' };
  if (random() < 0.2) headers['origin'] = 'https://elsewhere.example';
  return post(target, from, headers, body);
};

function parameters(random: Random): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: wholeNumber(random, 5) }, () => [pick(random, NAMES), anyValue(random, 2)]));
}

function post(target: Target, from: string, headers: Record<string, string>, body: Buffer): Promise<string> {
  const { hostname, port } = new URL(target.http);
  return new Promise((resolve) => {
    const outgoing = request({ host: hostname, port, localAddress: from, method: 'POST', path: '/', headers, agent: false });
    const late = setTimeout(() => end('no answer'), WITHIN_MS);
    const end = (outcome: string): void => {
      clearTimeout(late);
      outgoing.destroy();
      resolve(`scf ${outcome}`);
    };
    outgoing.once('error', () => end('closed'));
    outgoing.once('response', (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      answer.once('error', () => end('closed'));
      answer.once('end', () => {
        const code = /"Code":\s*"([^"]+)"/.exec(text)?.[1];
        const isFault = answer.statusCode === 500 || code?.startsWith('InternalError') === true;
        end(
          `${answer.statusCode ?? 0} ${isFault ? `FAULT ${headers['x-tc-action'] ?? 'form'} ${body.toString('utf8').slice(0, 300)} ${text.slice(0, 300)}` : (code?.split('.', 1)[0] ?? 'answered')}`,
        );
      });
    });
    outgoing.end(body);
  });
}
