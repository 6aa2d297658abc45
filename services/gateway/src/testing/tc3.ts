import { createHash, createHmac } from 'node:crypto';

/** What is signed, and by whom. */
export type Tc3Request = {
  readonly id: string;
  readonly secret: string;
  /** As the `Host` header has it. */
  readonly host: string;
  readonly body: string | Uint8Array;
  readonly contentType?: string;
  readonly service?: string;
  readonly atMs?: number;
  /** Of the credential scope, if not that of the time. */
  readonly date?: string;
  /** Further headers that are signed, as they are written into the canonical request. */
  readonly more?: Readonly<Record<string, string>>;
};

/** Signs a request as "Signature v3" of the Tencent Cloud API says, word for word; answers the headers that prove it. */
export function tc3Headers({ id, secret, host, body, ...given }: Tc3Request): Record<string, string> {
  const { contentType = 'application/json', service = 'scf', atMs = Date.now(), more = {} } = given;
  const timestamp = String(Math.floor(atMs / 1_000));
  const date = given.date ?? new Date(Number(timestamp) * 1_000).toISOString().slice(0, 10);
  const lines: Record<string, string> = { 'content-type': contentType, host, ...more };
  const names = Object.keys(lines).sort();
  const block = names.map((name) => `${name}:${lines[name] ?? ''}\n`).join('');
  const sha = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
  const mac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const canonical = ['POST', '/', '', block, names.join(';'), sha(body)].join('\n');
  const scope = `${date}/${service}/tc3_request`;
  const key = mac(mac(mac(`TC3${secret}`, date), service), 'tc3_request');
  const signature = mac(key, ['TC3-HMAC-SHA256', timestamp, scope, sha(canonical)].join('\n')).toString('hex');
  return {
    'content-type': contentType,
    'x-tc-timestamp': timestamp,
    authorization: `TC3-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}
