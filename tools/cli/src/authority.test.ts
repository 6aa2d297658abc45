import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openPeerTls } from '@evenfall/rpc';
import { tempDir } from '@evenfall/testkit';
import { run, stubApi } from './testing/stub-api.ts';

describe('evenfall ca', () => {
  it('makes an authority and certificates that services take', async () => {
    const folder = tempDir('ca');
    const api = await stubApi(() => ({ json: {} }));
    try {
      const [dir, out] = [join(folder.path, 'ca'), join(folder.path, 'out')];
      const missing = await run(api.url, ['ca', 'issue', 'queue', '--dir', dir]);
      assert.equal(missing.code, 1);
      assert.match(missing.err, /evenfall ca init/);
      assert.equal((await run(api.url, ['ca', 'init', '--dir', dir])).code, 0);
      assert.equal(statSync(join(dir, 'ca-key.pem')).mode & 0o777, 0o600);
      assert.match((await run(api.url, ['ca', 'init', '--dir', dir])).err, /already/);
      for (const identity of ['queue', 'agent/host-1']) {
        const { code, out: text } = await run(api.url, [
          'ca',
          'issue',
          identity,
          '--dir',
          dir,
          '--out',
          out,
          '--days',
          '30',
          '--name',
          'a.example',
          '--name',
          '10.0.0.1',
        ]);
        assert.equal(code, 0, text);
        const set = Object.fromEntries(text.trim().split('\n').map((line) => line.split('=', 2) as [string, string])); // prettier-ignore
        const files = {
          caFile: set['EVENFALL_TLS_CA'] ?? '',
          certificateFile: set['EVENFALL_TLS_CERT'] ?? '',
          keyFile: set['EVENFALL_TLS_KEY'] ?? '',
        };
        const tls = await openPeerTls(files, { onFault: () => undefined });
        assert.equal(tls.identity, identity);
        tls.close();
        assert.equal(statSync(files.keyFile).mode & 0o777, 0o600);
        assert.match(
          new X509Certificate(readFileSync(files.certificateFile)).subjectAltName ?? '',
          /DNS:a\.example, IP Address:10\.0\.0\.1/,
        );
      }
      for (const wrong of [
        ['ca', 'issue', 'root', '--dir', dir],
        ['ca', 'issue', 'queue', '--dir', dir, '--days', '0'],
        ['ca', 'issue', 'agent/../queue', '--dir', dir],
      ])
        assert.notEqual((await run(api.url, wrong)).code, 0, wrong.join(' '));
      assert.deepEqual(api.asked, [], 'no platform is asked');
    } finally {
      api.close();
      folder.remove();
    }
  });
});
