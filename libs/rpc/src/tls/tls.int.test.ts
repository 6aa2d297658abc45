import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { type Authority, makeAuthority } from '@evenfall/certificates';
import { GetHealthResponse, QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { isRefusal } from '@evenfall/errors';
import { eventually } from '@evenfall/testkit';
import { bind, CALLER_HEADER, grpcClient, openPeer, openPeerTls, type PeerTls, startGrpcServer } from '../index.ts';

const DAY_MS = 86_400_000;

describe('TLS between services', () => {
  let dir: string;
  let authority: Authority;
  let foreign: Authority;
  let server: Awaited<ReturnType<typeof startGrpcServer>>;
  let serverTls: PeerTls;
  let allowed = 0;
  let watches = 0;
  let received: (string | undefined)[] = [];
  const ends: (() => void)[] = [];
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evenfall-tls-'));
    authority = await makeAuthority(join(dir, 'ca'));
    foreign = await makeAuthority(join(dir, 'foreign-ca'));
    serverTls = await openPeerTls(await write('server', 'queue'), { onFault: () => undefined, lookMs: 20 });
    const queue = {
      async getHealth(_request: unknown, { header }: { header(name: string): string | undefined }) {
        received.push(header(CALLER_HEADER));
        return GetHealthResponse.create();
      },
      async *watchOwnership(_request: unknown, { signal }: { signal: AbortSignal }) {
        watches++;
        yield {};
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    };
    server = await startGrpcServer({
      host: '127.0.0.1',
      port: 0,
      services: [bind(QueueServiceService, queue as never)], // no other method is called
      tls: serverTls,
      authorize: () => {
        allowed++;
      },
    });
  });
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    received = [];
  });
  after(async () => {
    await server.stop(100);
    serverTls.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const write = async (
    name: string,
    identity: string,
    {
      by = authority,
      trusts = [authority],
      days = 1,
      nowMs = Date.now(),
    }: { by?: Authority; trusts?: readonly Authority[]; days?: number; nowMs?: number } = {},
  ) => {
    const own = join(dir, name);
    mkdirSync(own, { recursive: true });
    const { certificate, key } = await by.issue(identity, { days, nowMs });
    const files = { caFile: join(own, 'ca.pem'), certificateFile: join(own, 'cert.pem'), keyFile: join(own, 'key.pem') };
    writeFileSync(files.caFile, trusts.map(({ certificate }) => certificate).join(''));
    writeFileSync(files.keyFile, key);
    writeFileSync(files.certificateFile, certificate);
    return files;
  };
  const faults: string[] = [];
  let count = 0;
  async function tlsOf(identity: string, options: Parameters<typeof write>[2] = {}): Promise<PeerTls> {
    const tls = await openPeerTls(await write(`own-${count++}`, identity, options), {
      onFault: (why) => void faults.push(why),
      lookMs: 20,
    });
    ends.push(() => tls.close());
    return tls;
  }
  /** Asks the server; answers why it does not answer. */
  const ask = async (tls: PeerTls | undefined, expected = 'queue', headers: Record<string, string> = {}): Promise<string> => {
    const secure = tls ? { secure: { tls, identity: expected } } : {};
    const { client, close } = grpcClient(QueueServiceService, `127.0.0.1:${server.port}`, { ...secure, timeoutMs: 2_000, headers });
    try {
      await client.getHealth({});
      return 'answered';
    } catch (error) {
      return isRefusal(error) ? error.reason : String(error);
    } finally {
      close();
    }
  };

  it('gives the server the identity of the caller, whatever the caller claims', async () => {
    assert.equal(await ask(await tlsOf('gateway'), 'queue', { [CALLER_HEADER]: 'scheduler' }), 'answered');
    assert.equal(await ask(await tlsOf('agent/agent-1')), 'answered');
    assert.deepEqual(received, ['gateway', 'agent/agent-1']);
  });

  it('refuses callers without a certificate of the authority', async () => {
    const before = allowed;
    assert.notEqual(await ask(undefined), 'answered');
    assert.notEqual(await ask(await tlsOf('gateway', { by: foreign, trusts: [foreign] })), 'answered', 'of another authority');
    const mixed = await tlsOf('gateway', { by: foreign, trusts: [authority, foreign] });
    assert.notEqual(await ask(mixed), 'answered', 'of another authority, that trusts this one');
    assert.equal(allowed, before, 'nothing of them was looked at');
    assert.deepEqual(received, []);
  });

  it('speaks with no server but the one that is meant', async () => {
    const tls = await tlsOf('gateway');
    for (const expected of ['registry', 'scheduler', 'agent/queue']) assert.notEqual(await ask(tls, expected), 'answered', expected);
    assert.deepEqual(received, [], 'nothing was said to it');
    assert.equal(await ask(tls, 'queue'), 'answered');
  });

  it('ends with a certificate, also on open connections', async () => {
    const nowMs = Date.now();
    const tls = await tlsOf('gateway', { nowMs: nowMs - DAY_MS + 2_000 }); // two seconds are left
    const peer = openPeer(`127.0.0.1:${server.port}`, { secure: { tls, identity: 'queue' }, timeoutMs: 2_000 });
    ends.push(() => peer.close());
    const client = peer.client(QueueServiceService);
    await client.getHealth({});
    await eventually(async () => {
      const why = await client.getHealth({}).then(() => '', (error: unknown) => (isRefusal(error) ? error.reason : String(error))); // prettier-ignore
      return why !== '';
    }, 10_000);
    assert.notEqual(await ask(tls), 'answered');
    await assert.rejects(openPeerTls(tls.files, { onFault: () => undefined }), /has run out/);
  });

  it('ends a stream with the certificate that it came by, and answers further calls by a new one', async () => {
    const nowMs = Date.now();
    const files = await write('renewed', 'gateway', { nowMs: nowMs - DAY_MS + 3_000 });
    const tls = await openPeerTls(files, { onFault: () => undefined, lookMs: 20 });
    ends.push(() => tls.close());
    const peer = openPeer(`127.0.0.1:${server.port}`, { secure: { tls, identity: 'queue' }, timeoutMs: 2_000 });
    ends.push(() => peer.close());
    const client = peer.client(QueueServiceService);
    await client.getHealth({});
    let isEnded = false;
    void (async () => {
      const stream = client.watchOwnership({})[Symbol.asyncIterator]();
      while (!(await stream.next()).done);
    })().catch(() => (isEnded = true));
    await eventually(() => watches === 1);
    await write('renewed', 'gateway');
    await eventually(() => tls.expiresMs() > nowMs + 60_000);
    let failures = 0;
    await eventually(async () => {
      await client.getHealth({}).catch(() => failures++);
      return Date.now() > nowMs + 4_000;
    }, 10_000);
    assert.ok(isEnded, 'the stream is gone');
    assert.equal(failures, 0, 'no call failed meanwhile');
  });

  it('takes new files without a restart, and nothing of files that do not fit', async () => {
    const files = await write('rotated', 'gateway');
    const tls = await openPeerTls(files, { onFault: (why) => void faults.push(why), lookMs: 20 });
    ends.push(() => tls.close());
    const firstMs = tls.expiresMs();
    const fault = async (text: RegExp): Promise<void> => {
      await eventually(() => faults.some((why) => text.test(why)));
    };
    writeFileSync(files.keyFile, 'nothing');
    await fault(/key\.pem is not what it should be/);
    assert.equal(await ask(tls), 'answered');
    rmSync(files.certificateFile);
    await fault(/cert\.pem cannot be read/);
    assert.equal(await ask(tls), 'answered');
    await write('rotated', 'scheduler');
    await fault(/is of scheduler now/);
    assert.equal(tls.identity, 'gateway');
    await write('rotated', 'gateway', { days: 20 });
    await eventually(() => tls.expiresMs() > firstMs);
    assert.equal(await ask(tls), 'answered');
    // The authority itself: the server trusts both for a while, then the new one alone.
    const { caFile } = serverTls.files;
    writeFileSync(caFile, authority.certificate + foreign.certificate);
    const next = await tlsOf('gateway', { by: foreign, trusts: [authority, foreign] });
    await eventually(async () => (await ask(next)) === 'answered');
    writeFileSync(caFile, authority.certificate);
    await eventually(async () => (await ask(next)) !== 'answered');
  });

  it('does not start with files that are no good, and says why', async () => {
    const good = await write('good', 'gateway');
    const other = await write('other', 'gateway');
    const refuses = (files: typeof good, why: RegExp): Promise<void> =>
      assert.rejects(openPeerTls(files, { onFault: () => undefined }), why);
    await refuses({ ...good, keyFile: other.keyFile }, /is not the key of/);
    await refuses({ ...good, certificateFile: join(dir, 'nothing.pem') }, /cannot be read/);
    await refuses({ ...good, certificateFile: join(dir, 'ca', 'ca.pem'), keyFile: join(dir, 'ca', 'ca-key.pem') }, /no identity/);
    await refuses(await write('old', 'gateway', { nowMs: Date.now() - 3 * DAY_MS }), /has run out/);
    await assert.rejects(authority.issue('root', { days: 1 }), /is no identity/);
  });
});
