import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventStore } from '@evenfall/event-store/descriptor';
import { gateway } from '@evenfall/gateway/descriptor';
import { instanceAgent } from '@evenfall/instance-agent/descriptor';
import { queue } from '@evenfall/queue/descriptor';
import { registry } from '@evenfall/registry/descriptor';
import { scheduler } from '@evenfall/scheduler/descriptor';

const ENV = {
  EVENFALL_POSTGRES_URL: 'postgres://user:secret@127.0.0.1/evenfall',
  EVENFALL_KAFKA_BROKERS: '127.0.0.1:9092',
  EVENFALL_ACCESS_KEYS: 'ops:correct-horse',
};
const ADDRESSES: Readonly<Record<string, string>> = {
  registry: 'registryAddress',
  scheduler: 'schedulerAddress',
  'event-store': 'eventStoreAddress',
  queue: 'queueAddresses',
};

describe('The descriptors of the services', () => {
  const all = [registry, eventStore, scheduler, queue, instanceAgent, gateway];

  it('call only services that are started before them in one process', () => {
    const started = new Set<string>();
    for (const { name, dependencies } of all) {
      for (const called of Object.keys(dependencies)) assert.ok(started.has(called), `${name} calls ${called}`);
      started.add(name);
    }
  });

  it('read the address of each service that they call, as a process of their own, and no other', () => {
    for (const { name, dependencies, settings } of all) {
      const config: Readonly<Record<string, unknown>> = { ...settings.read(ENV) };
      const read = Object.entries(ADDRESSES).flatMap(([called, key]) => (config[key] === undefined ? [] : [called]));
      assert.deepEqual(read.sort(), Object.keys(dependencies).sort(), name);
    }
  });

  it('read their own settings in either shape', () => {
    for (const { name, settings } of all) {
      const config = settings.read(ENV);
      // One without a default is left out where it is not set.
      const own: Readonly<Record<string, { readonly fallback?: string | undefined }>> = { ...settings.own };
      const always = Object.keys(own).filter((key) => own[key]?.fallback !== undefined);
      for (const key of always) assert.ok(key in config, `${name}: ${key}`);
      assert.ok(always.length > 0, name);
    }
  });
});
