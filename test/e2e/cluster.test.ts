// Every service as a process of its own: the same promises, over real connections.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { isRefusal } from '@evenfall/errors';
import { openPeer } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { whyNoKafka } from '@evenfall/testkit/kafka';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';

const FUNCTIONS = '/v1/namespaces/default/functions';
const SERVICES = ['registry', 'event-store', 'scheduler', 'agent-1', 'agent-2', 'queue-1', 'gateway'];

describe('A cluster of processes', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster.dispose());

  it('runs an event, shows it while it runs, and ends it well', async () => {
    const { rest } = cluster;
    await rest.deployExample('graceful-killer');
    const { id } = await rest.send('graceful-killer', {});
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { data } of rest.stream(`/v1/events/${id}:watch`)) seen.push((data as { state: string }).state);
    })();
    await rest.reaches(id, 'RUNNING', 30_000);
    await eventually(async () => (await rest.logs(id)).some(({ text }) => text === 'False'), 15_000);
    const { status } = await rest.terminate(id, { graceful: true, reason: 'enough', wait: 'ended' });
    assert.equal(status, 200);
    const event = await rest.get(id);
    assert.equal(event.state, 'TERMINATED');
    assert.equal(event.status_code, 200);
    assert.equal(event.result, 'END');
    await watching;
    assert.ok(seen.includes('RUNNING'), seen.join(' '));
    assert.equal(seen.at(-1), 'TERMINATED');
    const texts = (await rest.logs(id)).map(({ text }) => text);
    assert.ok(texts.includes('Graceful shutdown.'), texts.join('\n'));
  });

  it('calls synchronously, and lists its agents', async () => {
    const { rest } = cluster;
    await rest.deployExample('echo');
    const { body } = await rest.call<{ status_code: number; result: unknown }>('POST', `${FUNCTIONS}/echo:invoke`, { a: 1 });
    assert.deepEqual([body.status_code, body.result], [200, { a: 1 }]);
    const agents = await rest.call<{ agents: { id: string }[] }>('GET', '/v1/agents');
    assert.deepEqual(agents.body.agents.map(({ id }) => id).sort(), ['agent-1', 'agent-2']);
  });

  it('opens its private ports only to those that know the key', async () => {
    const ports = {
      registry: (peer: ReturnType<typeof openPeer>) =>
        peer.client(RegistryServiceService).resolveFunction({ namespace: 'default', name: 'x', qualifier: '' }),
      'event-store': (peer: ReturnType<typeof openPeer>) => peer.client(EventStoreServiceService).getEvent({ eventId: 'x', after: [] }),
      scheduler: (peer: ReturnType<typeof openPeer>) => peer.client(SchedulerServiceService).listAgents({ pageSize: 0, pageToken: '' }),
      'queue-1': (peer: ReturnType<typeof openPeer>) => peer.client(QueueServiceService).acceptEvents({ events: [] }),
    };
    for (const [name, call] of Object.entries(ports)) {
      const address = cluster.process(name).addresses['grpc'] ?? '';
      for (const headers of [{}, { authorization: 'Bearer guessed-guessed-guessed' }]) {
        const peer = openPeer(address, { headers });
        try {
          assert.equal(await peer.isServing(5_000), true, 'health is for everybody');
          await assert.rejects(call(peer), (error) => isRefusal(error) && error.reason === 'UNAUTHENTICATED', name);
        } finally {
          peer.close();
        }
      }
      const friend = openPeer(address, { headers: { authorization: `Bearer ${cluster.internalKey}` } });
      await (call(friend) as Promise<unknown>).catch((error: unknown) =>
        assert.ok(isRefusal(error) && error.reason !== 'UNAUTHENTICATED', name),
      );
      friend.close();
    }
    // Streams too: a stranger's agent gets no work.
    const stranger = openPeer(cluster.process('scheduler').addresses['grpc'] ?? '');
    const attaching = async (): Promise<void> => {
      for await (const answer of stranger.client(SchedulerServiceService).attach((async function* () {})()))
        assert.fail(JSON.stringify(answer));
    };
    await assert.rejects(attaching(), (error) => isRefusal(error) && error.reason === 'UNAUTHENTICATED');
    stranger.close();
  });

  it('says of every process how it is', async () => {
    for (const name of SERVICES) {
      const { metrics = '' } = cluster.process(name).addresses;
      for (const path of ['/healthz', '/readyz']) {
        const answer = await fetch(`${metrics}${path}`);
        assert.equal(answer.status, 200, `${name}${path}: ${await answer.text()}`);
      }
      assert.match(await (await fetch(`${metrics}/metrics`)).text(), /^# TYPE evenfall_/m);
    }
  });

  it('reports at the API which service is unavailable, and continues when it is back', async () => {
    const { rest } = cluster;
    await cluster.process('event-store').kill9();
    const away = await eventually(async () => {
      const answer = await rest.call<{ waits_for: string[] }>('GET', '/readyz');
      return answer.status === 503 && answer.body;
    }, 15_000);
    assert.match(away.waits_for.join(), /event-store/);
    // The log takes events all the same.
    const { id } = await rest.send('echo', { b: 2 });
    cluster.process('event-store').start();
    await cluster.process('event-store').ready();
    await eventually(async () => (await rest.call('GET', '/readyz')).status === 200, 15_000);
    assert.deepEqual((await rest.ended(id)).result, { b: 2 });
  });

  it('loses nothing when each of its processes is killed in turn', async () => {
    const { rest } = cluster;
    const ids: string[] = [];
    for (const name of SERVICES) {
      ids.push((await rest.send('echo', { name })).id, (await rest.send('echo', { name }, { headers: { 'evenfall-delay': '1s' } })).id);
      await cluster.process(name).kill9();
      await cluster.process(name).restart();
      await eventually(async () => (await rest.call('GET', '/readyz')).status === 200, 30_000);
    }
    for (const id of ids) assert.equal((await rest.ended(id, 60_000)).state, 'SUCCEEDED');
    assert.equal(await eventually(async () => (await cluster.metric('queue-1', 'evenfall_queue_open')) === 0, 15_000), true);
    assert.equal(await cluster.metric('queue-1', 'evenfall_queue_balance'), 0);
    assert.deepEqual(cluster.deaths(), []);
  });

  it('stops every process with 0 in its time, and leaves nothing', async () => {
    const exits = await cluster.dispose();
    assert.deepEqual(
      [...exits].filter(([, exit]) => exit !== 0),
      [],
    );
    assert.deepEqual([...exits.keys()].sort(), [...SERVICES, 'postgres'].sort());
  });
});

const noKafka = whyNoKafka();
if (noKafka !== undefined) process.stderr.write(`SKIPPED: a cluster on Kafka. ${noKafka}\n`);

describe('A cluster on Kafka, with two queues', { timeout: 300_000, skip: noKafka ?? false }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ log: 'kafka' });
  });
  after(() => cluster.dispose());

  it('loses nothing when one queue is killed, and then the other, and then the broker', async () => {
    const { rest } = cluster;
    await rest.deployExample('echo');
    const sendable = (): Promise<string> => eventually(async () => (await rest.send('echo', {})).id, 30_000);
    const ids = [await sendable()];
    for (const name of ['queue-1', 'queue-2', 'kafka']) {
      for (let i = 0; i < 10; i++) ids.push(await sendable());
      await cluster.process(name).kill9();
      if (name !== 'kafka') ids.push(await sendable());
      await cluster.process(name).restart();
      ids.push(await sendable());
    }
    for (const id of ids) assert.equal((await rest.ended(id, 90_000)).state, 'SUCCEEDED');
    for (const name of ['queue-1', 'queue-2']) {
      await eventually(async () => (await cluster.metric(name, 'evenfall_queue_open')) === 0, 15_000);
      assert.equal(await cluster.metric(name, 'evenfall_queue_balance'), 0, name);
    }
    assert.deepEqual(cluster.deaths(), []);
  });

  it('stops every process with 0, and leaves nothing', async () => {
    const exits = await cluster.dispose();
    assert.deepEqual(
      [...exits].filter(([, exit]) => exit !== 0),
      [],
    );
  });
});
