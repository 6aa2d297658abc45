// What every process says of its settings: faults at once, keys where others could call, one meaning for one variable.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SettingsError } from '@evenfall/config';
import { readConfig as eventStore } from '../services/event-store/src/config.ts';
import { readConfig as readGateway } from '../services/gateway/src/config.ts';
import { readConfig as agent } from '../services/instance-agent/src/config.ts';
import { readConfig as queue } from '../services/queue/src/config.ts';
import { readConfig as registry } from '../services/registry/src/config.ts';
import { readConfig as scheduler } from '../services/scheduler/src/config.ts';
import { PROCESS_SETTINGS, type Specs } from './service-settings.ts';

type Env = Readonly<Record<string, string>>;
const ACCESS_KEYS = { EVENFALL_ACCESS_KEYS: 'ops:correct-horse' };
/** The gateway, with the one thing that it cannot be without. */
const gateway = (env: Env) => readGateway({ ...ACCESS_KEYS, ...env });
const POSTGRES = { EVENFALL_POSTGRES_URL: 'postgres://user:secret@127.0.0.1/evenfall' };
const KEY = { EVENFALL_INTERNAL_KEY: 'correct-horse-battery' };
const READERS: Readonly<Record<keyof typeof PROCESS_SETTINGS, (env: Env) => unknown>> = {
  gateway,
  registry,
  queue,
  scheduler,
  'event-store': eventStore,
  'instance-agent': agent,
};

function faultsOf(read: (env: Env) => unknown, env: Env): readonly string[] {
  try {
    read(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.faults;
  }
}

describe('The settings of a service as a process of its own', () => {
  for (const [service, read] of Object.entries(READERS)) {
    it(`${service} needs no more than Postgres, and that only where it keeps something`, () => {
      assert.deepEqual(faultsOf(read, POSTGRES), []);
      const needsPostgres = ['registry', 'queue', 'event-store'].includes(service);
      const [fault, ...more] = faultsOf(read, {});
      assert.equal(fault !== undefined, needsPostgres);
      if (needsPostgres) assert.match(fault ?? '', /^EVENFALL_POSTGRES_URL .*not set: .*Postgres/);
      assert.deepEqual(more, []);
    });

    it(`${service} lists every fault at once, and shows no secret`, () => {
      const faults = faultsOf(read, {
        ...POSTGRES,
        EVENFALL_METRICS_PORT: 'x',
        EVENFALL_LOG_LEVEL: 'loud',
        EVENFALL_INTERNAL_KEY: 'too-short',
      });
      assert.deepEqual(faults.map((fault) => fault.split('=')[0]).sort(), [
        'EVENFALL_INTERNAL_KEY',
        'EVENFALL_LOG_LEVEL',
        'EVENFALL_METRICS_PORT',
      ]);
      assert.ok(faults.every((fault) => !fault.includes('too-short')));
    });

    it(`${service} does not listen beyond loopback without a key`, () => {
      if (service === 'gateway') return; // it does not start without one at all
      const [fault, ...more] = faultsOf(read, { ...POSTGRES, EVENFALL_HOST: '0.0.0.0' });
      assert.match(fault ?? '', /^EVENFALL_HOST="0\.0\.0\.0".*EVENFALL_INTERNAL_KEY/);
      assert.deepEqual(more, []);
      assert.deepEqual(faultsOf(read, { ...POSTGRES, ...KEY, EVENFALL_HOST: '0.0.0.0' }), []);
    });
  }

  it('have no gateway start without a key, unless its APIs are meant to be open, and those never to a network', () => {
    assert.match(faultsOf(readGateway, {}).join(), /^EVENFALL_ACCESS_KEYS is not set: .*write keys as "id:secret"/);
    assert.deepEqual(faultsOf(readGateway, ACCESS_KEYS), []);
    assert.deepEqual(faultsOf(readGateway, { EVENFALL_OPEN: 'yes' }), []);
    assert.match(
      faultsOf(readGateway, { EVENFALL_OPEN: 'yes', EVENFALL_HOST: '0.0.0.0' }).join(),
      /^EVENFALL_HOST="0\.0\.0\.0" with EVENFALL_OPEN="yes"/,
    );
    assert.match(faultsOf(readGateway, { ...ACCESS_KEYS, EVENFALL_OPEN: 'yes' }).join(), /both set/);
    assert.match(faultsOf(readGateway, { EVENFALL_ACCESS_KEYS: '' }).join(), /not set/, 'empty is unset');
  });

  it('say where the others are, one address for every replica of the queue', () => {
    assert.deepEqual(gateway({ EVENFALL_QUEUE_ADDRESSES: 'queue-0.queue:9192, [::1]:9192' }).queueAddresses, [
      'queue-0.queue:9192',
      '[::1]:9192',
    ]);
    assert.match(faultsOf(scheduler, { EVENFALL_REGISTRY_ADDRESS: 'http://registry' })[0] ?? '', /^EVENFALL_REGISTRY_ADDRESS=.*host:port/);
    assert.match(faultsOf(gateway, { EVENFALL_QUEUE_ADDRESSES: 'queue:9192,' })[0] ?? '', /^EVENFALL_QUEUE_ADDRESSES=/);
  });

  it('find each other by default, and do not want the same port', () => {
    const ports = Object.entries<Specs>(PROCESS_SETTINGS).flatMap(([, specs]) =>
      Object.values(specs)
        .filter(({ name }) => name.endsWith('_PORT'))
        .map(({ fallback }) => fallback),
    );
    assert.equal(new Set(ports).size, ports.length, ports.join(' '));
    const { registryAddress, queueAddresses, schedulerAddress, eventStoreAddress } = gateway({});
    const own = (specs: Specs): string => `127.0.0.1:${specs['grpcPort']?.fallback ?? ''}`;
    assert.deepEqual(
      [registryAddress, ...queueAddresses, schedulerAddress, eventStoreAddress],
      [PROCESS_SETTINGS.registry, PROCESS_SETTINGS.queue, PROCESS_SETTINGS.scheduler, PROCESS_SETTINGS['event-store']].map(own),
    );
  });

  it('let the queue do without Postgres where the log is in Kafka', () => {
    assert.deepEqual(faultsOf(queue, { EVENFALL_KAFKA_BROKERS: 'kafka-0:9092,kafka-1:9092' }), []);
    assert.equal(faultsOf(eventStore, { EVENFALL_KAFKA_BROKERS: 'kafka-0:9092' }).length, 1);
  });

  it('put the agent’s folder under the data folder, unless one is named', () => {
    assert.equal(agent({ EVENFALL_DATA_DIR: '/data' }).dataDir, '/data/agent');
    assert.equal(agent({ EVENFALL_AGENT_DATA_DIR: '/fast' }).dataDir, '/fast');
  });
});
