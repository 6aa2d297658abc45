// The setup of a deployment on one machine: what it makes, what it keeps, and what each container sees.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { identitiesOf } from '@evenfall/peer-identity';
import { openPeerTls } from '@evenfall/rpc';
import { tempDir } from '@evenfall/testkit';
import { setUp } from './setup/set-up.ts';

const DAY_MS = 86_400_000;
const ALL = ['registry', 'event-store', 'gateway', 'agent/agent-1', 'postgres'];

describe('The setup of a deployment', () => {
  const folder = tempDir('setup');
  after(() => folder.remove());
  const owners = new Map<string, number>();
  const own = (file: string, uid: number): void => void owners.set(file.replace(/\.new$/, ''), uid);
  const at = (...path: string[]): string => join(folder.path, ...path);
  const read = (...path: string[]): string => readFileSync(at(...path), 'utf8');
  const run = (nowMs = Date.now()): Promise<string[]> => setUp(folder.path, ALL, { nowMs, own });
  const everything = (): Record<string, string> =>
    Object.fromEntries(ALL.flatMap((one) => readdirSync(at(one)).map((name) => [`${one}/${name}`, read(one, name)])));

  it('makes a certificate for each, and shows each its own secrets alone', async () => {
    assert.deepEqual(await run(), ALL.slice(0, 4));
    for (const identity of ALL.slice(0, 4)) {
      const files = { caFile: at(identity, 'ca.pem'), certificateFile: at(identity, 'cert.pem'), keyFile: at(identity, 'key.pem') };
      const tls = await openPeerTls(files, { onFault: (why) => assert.equal(why, '') });
      assert.equal(tls.identity, identity);
      tls.close();
      for (const name of readdirSync(at(identity))) {
        assert.equal(statSync(at(identity, name)).mode & 0o777, 0o400, name);
        assert.equal(owners.get(at(identity, name)), identity.startsWith('agent/') ? 0 : 10_001, name);
      }
    }
    const names = (identity: string): string[] => [...read(identity, 'settings.env').matchAll(/^(\w+)=/gm)].map(([, name = '']) => name);
    assert.deepEqual(names('agent/agent-1'), ['EVENFALL_METRICS_TOKEN']);
    assert.deepEqual(names('gateway'), ['EVENFALL_METRICS_TOKEN', 'EVENFALL_ACCESS_KEYS']);
    assert.deepEqual(names('registry'), ['EVENFALL_METRICS_TOKEN', 'EVENFALL_POSTGRES_URL', 'EVENFALL_SEALING_KEY']);
    assert.match(read('event-store', 'settings.env'), new RegExp(`evenfall_app:${read('postgres', 'app-password')}@`));
    assert.notEqual(read('postgres', 'password'), read('postgres', 'app-password'));
    const keys = ALL.slice(0, 4).map((identity) => read(identity, 'key.pem'));
    assert.equal(new Set(keys).size, keys.length);
    assert.ok(!Object.values(everything()).includes(read('authority', 'ca-key.pem')), 'nobody sees the key of the authority');
  });

  it('keeps what is there', async () => {
    const before = everything();
    assert.deepEqual(await run(), []);
    assert.deepEqual(everything(), before);
  });

  it('renews a certificate in the second half of its life, one that is not its own, and one that cannot be read', async () => {
    const before = everything();
    assert.deepEqual(await run(Date.now() + 180 * DAY_MS), []);
    const renewed = await run(Date.now() + 190 * DAY_MS);
    assert.deepEqual(renewed, ALL.slice(0, 4));
    assert.equal(read('registry', 'settings.env'), before['registry/settings.env']);
    const write = (path: string, text: string): void => {
      chmodSync(at(path), 0o600);
      writeFileSync(at(path), text);
    };
    const later = Date.now() + 200 * DAY_MS;
    write('registry/cert.pem', read('gateway/cert.pem'));
    write('event-store/key.pem', read('gateway/key.pem'));
    write('gateway/cert.pem', 'no certificate');
    assert.deepEqual(await run(later), ['registry', 'event-store', 'gateway']);
    assert.deepEqual(identitiesOf(new X509Certificate(read('registry', 'cert.pem')).subjectAltName), ['registry']);
  });

  it('goes on where an earlier one was stopped between the key of the authority and its certificate', async () => {
    rmSync(at('authority/ca.pem'));
    assert.deepEqual(await run(), ALL.slice(0, 4), 'of the new authority');
    assert.ok(existsSync(at('authority/ca.pem')));
    assert.equal(read('registry', 'ca.pem'), read('authority', 'ca.pem'));
  });
});
