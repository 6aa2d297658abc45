// What the check of deploy/ finds in files that are wrong.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { servicesOfCompose, servicesOfKubernetes, drainFaults, settingsFaults } from './deploy/settings-faults.ts';

const compose = (environment: string): string => `
x-key: &key { EVENFALL_INTERNAL_KEY: '\${KEY:?none}' }
services:
  kafka: { image: 'apache/kafka:4' }
  queue: { command: [services/queue/src/main.ts], environment: { <<: *key, ${environment} } }
`;
const manifest = (env: string): string => `
kind: ConfigMap
metadata: { name: evenfall }
data: { EVENFALL_REGISTRY_ADDRESS: 'registry' }
---
kind: Deployment
metadata: { name: scheduler }
spec: { template: { spec: { containers: [{ args: [services/scheduler/src/main.ts], env: [${env}] }] } } }
`;
const faultsOf = (environment: string): string[] =>
  servicesOfCompose(compose(environment), { KEY: 'correct-horse-battery' }).flatMap(settingsFaults);

describe('The variables in deploy/', () => {
  it('are those of the service that is given them', () => {
    assert.deepEqual(faultsOf("EVENFALL_KAFKA_BROKERS: 'kafka:9092'"), []);
    assert.deepEqual(faultsOf("EVENFALL_QUEUE_ADDRESSES: 'queue:9192'"), [
      'compose.yaml, queue: EVENFALL_QUEUE_ADDRESSES is nothing the queue reads',
    ]);
    assert.match(faultsOf("EVENFALL_KAFKA_BROKERS: 'kafka'").join(), /EVENFALL_KAFKA_BROKERS is not of that form/);
    assert.match(servicesOfCompose(compose('A: b'), { KEY: 'short' }).flatMap(settingsFaults).join(), /EVENFALL_INTERNAL_KEY/);
    assert.throws(() => servicesOfCompose(compose('A: b'), {}), /KEY is not in env\.example/);
  });

  it('are found where manifests take them from', () => {
    const fromMap = (key: string): string =>
      `{ name: EVENFALL_REGISTRY_ADDRESS, valueFrom: { configMapKeyRef: { name: evenfall, key: ${key} } } }`;
    const [fault] = servicesOfKubernetes({ 'a.yaml': manifest(fromMap('EVENFALL_REGISTRY_ADDRESS')) }).flatMap(settingsFaults);
    assert.match(fault ?? '', /^a\.yaml, scheduler: EVENFALL_REGISTRY_ADDRESS is not of that form/);
    assert.throws(
      () => servicesOfKubernetes({ 'a.yaml': manifest(fromMap('EVENFALL_TYPO')) }),
      /ConfigMap\/evenfall\/EVENFALL_TYPO, which is nowhere/,
    );
    const [unknown] = servicesOfKubernetes({ 'a.yaml': manifest("{ name: EVENFALL_LEASES, value: '30s' }") }).flatMap(settingsFaults);
    assert.match(unknown ?? '', /EVENFALL_LEASES is nothing the scheduler reads/);
  });
});

describe('The time an agent is given to stop', () => {
  const agent = (grace: string, deadline?: string): string[] => {
    const variables = deadline === undefined ? '{}' : `{ EVENFALL_AGENT_DRAIN_DEADLINE: ${deadline} }`;
    const text = `services: { agent: { command: [services/instance-agent/src/main.ts], environment: ${variables}${grace} } }`;
    return servicesOfCompose(text, {}).flatMap(drainFaults);
  };
  it('is longer than its drain', () => {
    assert.deepEqual(agent(', stop_grace_period: 40s'), []);
    assert.deepEqual(agent(', stop_grace_period: 75s', '60s'), []);
    assert.match(
      agent(', stop_grace_period: 70s', '60s').join(),
      /has 70000 ms to stop; EVENFALL_AGENT_DRAIN_DEADLINE and leaving take 75000 ms/,
    );
    assert.match(agent('').join(), /has no ms to stop/);
  });
});
