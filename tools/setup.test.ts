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
const ALL = ['registry', 'event-store', 'gateway', 'agent/agent-1', 'postgres', 'kafka', 'kafka-admin'];
/** Those that are given a certificate. */
const CERTIFIED = ALL.slice(0, 6);
const UIDS: Readonly<Record<string, number>> = { 'agent/agent-1': 0, postgres: 999, kafka: 1_000 };

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
    assert.deepEqual(await run(), CERTIFIED);
    for (const identity of ALL.slice(0, 4)) {
      const files = { caFile: at(identity, 'ca.pem'), certificateFile: at(identity, 'cert.pem'), keyFile: at(identity, 'key.pem') };
      const tls = await openPeerTls(files, { onFault: (why) => assert.equal(why, '') });
      assert.equal(tls.identity, identity);
      tls.close();
    }
    for (const identity of ALL)
      for (const name of readdirSync(at(identity))) {
        assert.equal(statSync(at(identity, name)).mode & 0o777, 0o400, name);
        assert.equal(owners.get(at(identity, name)), UIDS[identity] ?? 10_001, `${identity}/${name}`);
      }
    const names = (identity: string): string[] => [...read(identity, 'settings.env').matchAll(/^(\w+)=/gm)].map(([, name = '']) => name);
    assert.deepEqual(names('agent/agent-1'), ['EVENFALL_METRICS_TOKEN']);
    assert.deepEqual(names('gateway'), ['EVENFALL_METRICS_TOKEN', 'EVENFALL_ACCESS_KEYS']);
    assert.deepEqual(names('registry'), ['EVENFALL_METRICS_TOKEN', 'EVENFALL_POSTGRES_URL', 'EVENFALL_SEALING_KEY']);
    const passwords = ['password', 'registry-password', 'event-store-password'].map((name) => read('postgres', name));
    assert.match(
      read('registry', 'settings.env'),
      new RegExp(`evenfall_registry:${passwords[1]}@postgres:5432/evenfall\\?sslmode=verify-full`),
    );
    assert.match(read('event-store', 'settings.env'), new RegExp(`evenfall_event_store:${passwords[2]}@`));
    const [, ofKafka = ''] = /^SCRAM-SHA-512=iterations=8192,password=(\w+)$/m.exec(read('kafka', 'user-event-store.properties')) ?? [];
    assert.match(read('event-store', 'settings.env'), new RegExp(`^EVENFALL_KAFKA_SASL_PASSWORD=${ofKafka}$`, 'm'));
    assert.equal(new Set([...passwords, ofKafka]).size, 4);
    for (const store of ['postgres', 'kafka']) {
      const certificate = new X509Certificate(read(store, 'cert.pem'));
      assert.equal(certificate.checkHost(store), store);
      assert.deepEqual(identitiesOf(certificate.subjectAltName), [], 'it is no service to others');
    }
    assert.equal(read('kafka', 'keystore.pem'), read('kafka', 'key.pem') + read('kafka', 'cert.pem'));
    const keys = CERTIFIED.map((identity) => read(identity, 'key.pem'));
    assert.equal(new Set(keys).size, keys.length);
    assert.ok(!Object.values(everything()).includes(read('authority', 'ca-key.pem')), 'no service gets the key of the authority');
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
    assert.deepEqual(renewed, CERTIFIED);
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

  it('adds the secrets that an earlier release did not know, and keeps those it did', async () => {
    const file = at('authority', 'secrets.json');
    const secrets = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
    const { accessKey, postgresPassword } = secrets;
    chmodSync(file, 0o600);
    writeFileSync(file, JSON.stringify({ accessKey, postgresPassword, appPassword: 'of before' }));
    await run();
    const now = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
    assert.deepEqual([now['accessKey'], now['postgresPassword']], [accessKey, postgresPassword]);
    assert.match(now['kafkaQueuePassword'] ?? '', /^[0-9a-f]{48}$/);
    await run();
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), now);
  });

  it('goes on where an earlier one was stopped between the key of the authority and its certificate', async () => {
    rmSync(at('authority/ca.pem'));
    assert.deepEqual(await run(), CERTIFIED, 'of the new authority');
    assert.ok(existsSync(at('authority/ca.pem')));
    assert.equal(read('registry', 'ca.pem'), read('authority', 'ca.pem'));
  });
});
