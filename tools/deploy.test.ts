// What the check of deploy/ finds in files that are wrong.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { type Document, parseAllDocuments } from 'yaml';
import { composeNetworkFaults } from './deploy/compose-networks.ts';
import { identityFaults } from './deploy/identity-faults.ts';
import { policyFaults } from './deploy/policy-faults.ts';
import { servicesOfCompose, servicesOfKubernetes, drainFaults, settingsFaults } from './deploy/settings-faults.ts';
import { ROOT } from './run.ts';

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

describe('The secrets in deploy/', () => {
  it('are no placeholders, but in examples, where they are nothing else', () => {
    assert.match(servicesOfCompose(compose('A: b'), { KEY: 'change-me-internal-key' }).flatMap(settingsFaults).join(), /placeholder/);
    const secret = (value: string): string => `
kind: Secret
metadata: { name: evenfall-kafka }
stringData: { EVENFALL_KAFKA_SASL_PASSWORD: '${value}', EVENFALL_KAFKA_TLS: 'true' }
`;
    const queue = `
kind: StatefulSet
metadata: { name: queue }
spec: { template: { spec: { containers: [{ args: [services/queue/src/main.ts], envFrom: [{ secretRef: { name: evenfall-kafka } }] }] } } }
`;
    const faults = (file: string, value: string): string =>
      servicesOfKubernetes({ 'a.yaml': queue, [file]: secret(value) })
        .flatMap(settingsFaults)
        .join();
    assert.equal(faults('secret.example.yaml', 'change-me'), '');
    assert.match(faults('secret.example.yaml', 'hunter22'), /EVENFALL_KAFKA_SASL_PASSWORD of the example would be taken for a secret/);
    assert.match(faults('secret.yaml', 'change-me'), /EVENFALL_KAFKA_SASL_PASSWORD is the placeholder/);
    assert.throws(() => servicesOfKubernetes({ 'a.yaml': queue }), /takes all of Secret\/evenfall-kafka, which is nowhere/);
  });
});

describe('The networks of compose.yaml', () => {
  const text = readFileSync(join(ROOT, 'deploy/compose/compose.yaml'), 'utf8');
  const faultsWith = (from: string, to: string): string => {
    assert.ok(text.includes(from), from);
    return composeNetworkFaults(text.replace(from, to)).join('\n');
  };
  it('connect services that call each other, and agents to no other', () => {
    assert.deepEqual(composeNetworkFaults(text), []);
    assert.match(
      faultsWith('networks: [log]', 'networks: [log, functions-1]'),
      /agent-1 reaches kafka in functions-1 and does not call it/,
    );
    assert.match(faultsWith('networks: [database]', 'networks: [database, functions-2]'), /agent-2 reaches postgres/);
    assert.match(faultsWith('networks: [services, outside]', 'networks: [services, functions-1, outside]'), /agent-1 reaches gateway/);
    assert.match(faultsWith('networks: [functions-1]', 'networks: [functions-1, functions-2]'), /agent-1 reaches agent-2/);
    assert.match(faultsWith('networks: [functions-1]', 'networks: [functions-1, services]'), /agent-1 reaches queue-1/);
    assert.match(faultsWith('functions-2: { internal: true }', 'functions-2: {}'), /agent-2 has a way out/);
    assert.match(faultsWith('log: { internal: true }', 'log: {}'), /kafka has a way out/);
    assert.match(
      faultsWith('networks: [services, functions-1, functions-2]', 'networks: [services]'),
      /agent-1 calls scheduler and has no/,
    );
    assert.match(faultsWith('networks: [log, services, outside]', 'networks: [log, outside]'), /queue-2 calls registry and has no network/);
    assert.match(faultsWith('    networks: [functions-1]\n', ''), /agent-1 names no network/);
  });
});

describe('The network policies of deploy/k8s', () => {
  const files = globSync('deploy/k8s/base/*.yaml', { cwd: ROOT }).sort();
  const documents = files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(ROOT, file), 'utf8')).map((document) => ({ file: basename(file), document: document })),
  );
  /** Faults of all documents, each as `change` returns it; undefined leaves it out. */
  const faultsWith = (change: (kind: string, name: string, document: Document) => Document | undefined, more = ''): string[] => {
    const texts = documents.flatMap(({ document }) => {
      const copy = document.clone(); // of a document
      const changed = change(String(copy.get('kind')), String(copy.getIn(['metadata', 'name'])), copy);
      return changed ? [changed.toString()] : [];
    });
    return policyFaults(Object.fromEntries([...texts, ...(more === '' ? [] : [more])].map((text, index) => [String(index), text])));
  };
  const policies = documents.filter(({ document }) => document.get('kind') === 'NetworkPolicy').map(({ document }) => document);

  it('are what the table of rights and the stores ask for', () => {
    assert.deepEqual(
      faultsWith((_, __, document) => document),
      [],
    );
  });

  it('are each of them needed, but the one for metrics', () => {
    assert.ok(policies.length >= 11);
    for (const policy of policies) {
      const name = String(policy.getIn(['metadata', 'name']));
      const faults = faultsWith((kind, one, document) => (kind === 'NetworkPolicy' && one === name ? undefined : document));
      assert.equal(faults.length > 0, name !== 'evenfall-metrics', name);
    }
  });

  it('are not wider than that, in any of them', () => {
    const wider: readonly [string, readonly (string | number)[], unknown][] = [
      ['evenfall-agent', ['spec', 'egress'], [{}]],
      ['evenfall-agent', ['spec', 'egress', 0, 'ports'], undefined],
      ['evenfall-queue', ['spec', 'ingress', 0, 'from'], undefined],
      ['evenfall-registry', ['spec', 'ingress', 0, 'from', 0, 'podSelector'], {}],
      ['evenfall-scheduler', ['spec', 'ingress', 0, 'from', 0], { namespaceSelector: {} }],
      ['evenfall-event-store', ['spec', 'ingress', 0, 'from', 0], { ipBlock: { cidr: '10.0.0.0/8' } }],
      ['evenfall-kafka', ['spec', 'podSelector'], {}],
      ['evenfall-postgres', ['spec', 'podSelector'], { matchLabels: { 'app.kubernetes.io/part-of': 'evenfall' } }],
      ['evenfall-dns', ['spec', 'egress', 0, 'to'], undefined],
      ['evenfall-metrics', ['spec', 'ingress', 0, 'from'], undefined],
      ['evenfall-internet', ['spec', 'podSelector'], {}],
    ];
    for (const [name, path, value] of wider) {
      const faults = faultsWith((_, one, document) => {
        if (one !== name || document.get('kind') !== 'NetworkPolicy') return document;
        if (value === undefined) document.deleteIn(path);
        else document.setIn(path, document.createNode(value));
        return document;
      });
      assert.ok(faults.length > 0, `${name} ${path.join('.')}`);
    }
  });

  it('leave out every private range', () => {
    const internet = policies.find((policy) => policy.getIn(['metadata', 'name']) === 'evenfall-internet');
    const excepts = [0, 1].map((block) => ['spec', 'egress', 0, 'to', block, 'ipBlock', 'except'] as const);
    for (const path of excepts) {
      const list =
        (internet?.toJS() as { spec: { egress: { to: { ipBlock: { except: string[] } }[] }[] } }).spec.egress[0]?.to[path[4]]?.ipBlock
          .except ?? []; // the file's shape
      assert.ok(list.length > 0);
      for (const [index, range] of list.entries())
        assert.ok(
          faultsWith((_, one, document) => {
            if (one === 'evenfall-internet') document.deleteIn([...path, index]);
            return document;
          }).length > 0,
          range,
        );
    }
  });

  it('have to be there for a service that is added', () => {
    const added = `
kind: Deployment
metadata: { name: evenfall-replica }
spec: { template: { metadata: { labels: { app: replica } }, spec: { containers: [{ args: [services/queue/src/main.ts], ports: [{ name: grpc, containerPort: 9192 }] }] } } }
`;
    const faults = faultsWith((_, __, document) => document, added).join('\n');
    assert.match(faults, /queue: no policy closes its Ingress/);
    assert.match(faults, /queue: no policy closes its Egress/);
    const labelled = faultsWith((_, __, document) => document, added.replace('app: replica', 'app.kubernetes.io/part-of: evenfall')).join(
      '\n',
    );
    assert.match(labelled, /queue: gateway is not let in at its port 9192/);
    assert.doesNotMatch(labelled, /no policy closes/);
  });
});

describe('The certificates of pods', () => {
  const pod = (name: string, secret: string): string => `
kind: Deployment
metadata: { name: evenfall-${name} }
spec: { template: { spec: {
  containers: [{ args: [services/${name}/src/main.ts], volumeMounts: [{ name: identity, mountPath: /run/identity }],
    env: [{ name: EVENFALL_TLS_CA, value: /run/identity/ca.crt }, { name: EVENFALL_TLS_CERT, value: /run/identity/tls.crt }, { name: EVENFALL_TLS_KEY, value: /run/identity/tls.key }] }],
  volumes: [{ name: identity, secret: { secretName: ${secret} } }] } } }
`;
  it('are their own, where their settings say', () => {
    const faults = (text: string): string => identityFaults({ 'a.yaml': text }).join('\n');
    assert.equal(faults(pod('queue', 'evenfall-queue-tls')), '');
    assert.match(faults(pod('queue', 'evenfall-gateway-tls')), /its certificate is that of evenfall-gateway-tls/);
    assert.match(
      faults(pod('queue', 'evenfall-queue-tls').replace('mountPath: /run/identity', 'mountPath: /etc/tls')),
      /where nothing is mounted/,
    );
    assert.match(
      faults(pod('queue', 'evenfall-queue-tls').replace('name: EVENFALL_TLS_KEY', 'name: OTHER')),
      /EVENFALL_TLS_KEY is not set/,
    );
    const two = pod('queue', 'evenfall-queue-tls').replace(
      'volumes: [',
      'volumes: [{ name: more, secret: { secretName: evenfall-registry-tls } }, ',
    );
    assert.match(faults(two), /it mounts evenfall-registry-tls, which is not its own/);
    assert.match(faults(pod('instance-agent', 'evenfall-agent-tls')), /it sees certificates of other agents/);
    const certificate = (uri: string): string => `
kind: Certificate
metadata: { name: evenfall-queue }
spec: { secretName: evenfall-queue-tls, uris: ['${uri}'] }
`;
    assert.match(
      faults(certificate('spiffe://evenfall/gateway')),
      /evenfall-queue-tls: its certificate is of spiffe:\/\/evenfall\/gateway/,
    );
    assert.match(faults(certificate('spiffe://evenfall/queue')), /evenfall-gateway-tls: its certificate has no identity/);
  });
});
