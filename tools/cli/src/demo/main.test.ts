import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stubApi } from '../testing/stub-api.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

describe('the demo', () => {
  it('prints one document for machines where it fails, too', async () => {
    const api = await stubApi(() => ({ status: 500, json: {} }));
    const ran = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
      execFile(process.execPath, [MAIN, '--json'], { env: { ...process.env, EVENFALL_URL: api.url } }, (error, stdout) =>
        resolve({ code: error?.code, stdout }),
      );
    });
    api.close();
    assert.equal(ran.code, 1);
    const { ok, error } = JSON.parse(ran.stdout) as { ok: unknown; error: unknown };
    assert.equal(ok, false);
    assert.match(String(error), /answered 500/);
  });
});
