import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import tencentcloud from 'tencentcloud-sdk-nodejs-scf';
import { zipOf } from './zip.ts';

export type ScfClient = InstanceType<typeof tencentcloud.scf.v20180416.Client>;
export type ScfClientOptions = {
  readonly secretId?: string;
  readonly secretKey?: string;
  /** Host and port, if not those of the address. */
  readonly endpoint?: string;
  readonly signMethod?: 'TC3-HMAC-SHA256' | 'HmacSHA1' | 'HmacSHA256';
};

const EXAMPLES = new URL('../../examples/functions/', import.meta.url);

// The SDK sends requests for 127.0.0.1 to a proxy, if the environment names one.
for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY']) Reflect.deleteProperty(process.env, name);

/** Tencent Cloud's own client of SCF, pointed at a platform, with its key. */
export function scfClient(
  { http, accessKey }: { readonly http: string; readonly accessKey: string },
  options: ScfClientOptions = {},
): ScfClient {
  const [id = '', secret = ''] = accessKey.split(':', 2);
  const { secretId = id, secretKey = secret, endpoint = new URL(http).host, signMethod = 'TC3-HMAC-SHA256' } = options;
  return new tencentcloud.scf.v20180416.Client({
    credential: { secretId, secretKey },
    region: 'ap-guangzhou',
    profile: { signMethod, httpProfile: { endpoint, protocol: 'http://', reqTimeout: 60 } },
  });
}

/** One of examples/functions as CreateFunction takes its code. */
export async function exampleZip(example: string): Promise<string> {
  const dir = fileURLToPath(new URL(`${example}/`, EXAMPLES));
  const names = readdirSync(dir).filter((name) => name !== 'function.json');
  const zip = await zipOf(Object.fromEntries(names.map((name) => [name, readFileSync(`${dir}${name}`, 'utf8')])));
  return zip.toString('base64');
}

/** Calls and expects an error; answers its message. */
export async function refusedWith(code: string, call: Promise<unknown>): Promise<string> {
  let message = '';
  await assert.rejects(call, (error) => {
    const given = error as Error & { code?: string; requestId?: string };
    assert.equal(given.code, code, given.message);
    assert.match(given.requestId ?? '', /^[0-9a-f-]{36}$/);
    message = given.message;
    return true;
  });
  return message;
}
