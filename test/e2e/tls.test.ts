import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openAuthority } from '@evenfall/certificates';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { AttachRequest, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal } from '@evenfall/errors';
import { bind, openPeer, openPeerTls, type Peer, type PeerTls, startGrpcServer } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';

describe('A cluster whose services have certificates', { timeout: 300_000 }, () => {
  let cluster: TestCluster;
  const ends: (() => unknown)[] = [];
  before(async () => {
    cluster = await startTestCluster({ tls: true, agents: 1 });
    await cluster.rest.deployExample('echo');
    await cluster.rest.deployExample('graceful-killer');
  });
  after(async () => {
    for (const end of ends) await end();
    await cluster.dispose();
  });

  const tlsOf = async (identity: string): Promise<PeerTls> => {
    const ca = join(cluster.dataDir, 'tls');
    const authority = await openAuthority(ca);
    const { certificate, key } = await authority.issue(identity, { days: 1 });
    const dir = join(cluster.dataDir, `mine-${ends.length}`);
    mkdirSync(dir);
    const files = { caFile: join(ca, 'ca.pem'), certificateFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') };
    writeFileSync(files.certificateFile, certificate);
    writeFileSync(files.keyFile, key);
    const tls = await openPeerTls(files, { onFault: () => undefined });
    ends.push(() => tls.close());
    return tls;
  };
  const headers = (): Record<string, string> => ({ authorization: `Bearer ${cluster.internalKey}` });
  const open = (name: string, options: object): Peer => {
    const peer = openPeer(cluster.process(name).addresses['grpc'] ?? '', { timeoutMs: 3_000, ...options });
    ends.push(() => peer.close());
    return peer;
  };
  const whyNot = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => '',
      (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
    );
  /** Opens an agent's stream; answers why it is not welcome, or ''. */
  const attach = async (peer: Peer, agentId: string): Promise<string> => {
    const leaving = new AbortController();
    const hello = { agentId, sessionId: 'mine', capacityMb: 1_024, parallelStarts: 1 };
    async function* requests() {
      yield AttachRequest.fromPartial({ hello });
      await new Promise((resolve) => leaving.signal.addEventListener('abort', resolve));
    }
    try {
      for await (const { welcome } of peer.client(SchedulerServiceService).attach(requests(), { signal: leaving.signal }))
        if (welcome) return '';
      return 'no welcome';
    } catch (error) {
      return isRefusal(error) ? error.reason : String(error);
    } finally {
      leaving.abort();
    }
  };

  it('runs functions, keeps their lines, and ends them', async () => {
    const { id } = await cluster.rest.send('echo', { n: 1 });
    assert.deepEqual((await cluster.rest.ended(id)).result, { n: 1 });
    await eventually(async () => (await cluster.rest.logs(id)).length > 0);
    const running = await cluster.rest.send('graceful-killer', {});
    await cluster.rest.reaches(running.id, 'RUNNING');
    const { body } = await cluster.rest.terminate(running.id, { graceful: true, wait: 'ENDED' });
    assert.deepEqual([body.state, body.status_code], ['TERMINATED', 200]);
    assert.deepEqual(cluster.deaths(), []);
  });

  it('answers no client without a certificate, also one with the key', async () => {
    for (const [name, ask] of [
      ['registry', (peer: Peer) => peer.client(RegistryServiceService).getConcurrency({ namespace: 'default', name: 'echo' })],
      ['queue-1', (peer: Peer) => peer.client(QueueServiceService).getHealth({})],
      ['event-store', (peer: Peer) => peer.client(EventStoreServiceService).getHealth({})],
      ['scheduler', (peer: Peer) => peer.client(SchedulerServiceService).listAgents({ pageSize: 1, pageToken: '' })],
    ] as const)
      assert.notEqual(await whyNot(ask(open(name, { headers: headers() }))), '', name);
  });

  it('answers no service beyond its rights', async () => {
    const agent = { secure: { tls: await tlsOf('agent/agent-9'), identity: 'registry' }, headers: headers() };
    assert.equal(
      await whyNot(open('registry', agent).client(RegistryServiceService).getConcurrency({ namespace: 'default', name: 'echo' })),
      'CALLER_NOT_ALLOWED',
    );
    const queue = { secure: { tls: await tlsOf('event-store'), identity: 'queue' }, headers: headers() };
    assert.equal(await whyNot(open('queue-1', queue).client(QueueServiceService).getHealth({})), 'CALLER_NOT_ALLOWED');
    // A certificate is no key: both are asked for where both are set.
    const gateway = { secure: { tls: await tlsOf('gateway'), identity: 'queue' } };
    assert.equal(await whyNot(open('queue-1', gateway).client(QueueServiceService).getHealth({})), 'UNAUTHENTICATED');
    assert.equal(
      await whyNot(
        open('queue-1', { ...gateway, headers: headers() })
          .client(QueueServiceService)
          .getHealth({}),
      ),
      '',
    );
  });

  it('takes no agent in the name of another', async () => {
    const at = async (identity: string): Promise<Peer> =>
      open('scheduler', { secure: { tls: await tlsOf(identity), identity: 'scheduler' }, headers: headers() });
    const fake = await at('agent/agent-9');
    assert.equal(await attach(fake, 'agent-1'), 'CALLER_NOT_ALLOWED');
    assert.equal(
      await whyNot(fake.client(SchedulerServiceService).renewLease({ agentId: 'agent-1', sessionId: 'x' })),
      'CALLER_NOT_ALLOWED',
    );
    assert.equal(await attach(await at('gateway'), 'agent-1'), 'CALLER_NOT_ALLOWED');
    assert.equal((await attach(open('scheduler', { headers: headers() }), 'agent-1')) === '', false);
    assert.equal(await attach(fake, 'agent-9'), '');
    const { id } = await cluster.rest.send('echo', { after: true });
    assert.deepEqual((await cluster.rest.ended(id)).result, { after: true });
  });

  it('sends nothing to a service that is another', async () => {
    const received: unknown[] = [];
    const fake = { getHealth: (request: unknown) => (received.push(request), Promise.reject(new Error('no'))) };
    const server = await startGrpcServer({ host: '127.0.0.1', port: 0, services: [bind(QueueServiceService, fake as never)], tls: await tlsOf('agent/agent-9') }); // prettier-ignore
    ends.push(() => server.stop(0));
    const peer = openPeer(`127.0.0.1:${server.port}`, { secure: { tls: await tlsOf('gateway'), identity: 'queue' }, timeoutMs: 2_000 });
    ends.push(() => peer.close());
    assert.notEqual(await whyNot(peer.client(QueueServiceService).getHealth({})), '');
    assert.deepEqual(received, []);
  });

  it('goes on with its own certificate when a file has that of another', async () => {
    const scheduler = cluster.process('scheduler');
    assert.ok(scheduler.pid > 0);
    const ca = join(cluster.dataDir, 'tls');
    const authority = await openAuthority(ca);
    const { certificate, key } = await authority.issue('queue', { days: 1 });
    writeFileSync(join(ca, 'scheduler', 'cert.pem'), certificate);
    writeFileSync(join(ca, 'scheduler', 'key.pem'), key);
    await eventually(() => cluster.lines().some((line) => /^scheduler .*is of queue now/.test(line)), 15_000);
    const { id } = await cluster.rest.send('echo', { still: true });
    assert.deepEqual((await cluster.rest.ended(id)).result, { still: true });
  });
});
