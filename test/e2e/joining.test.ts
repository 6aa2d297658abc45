// Agents get their certificates by a token, once, and have them renewed. In processes, as on hosts of their own.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeAuthority } from '@evenfall/certificates';
import { identitiesOf } from '@evenfall/peer-identity';
import { eventually } from '@evenfall/testkit';
import { clusterProcess, type ClusterProcess } from '../../tools/cluster/process.ts';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';

type NewToken = { readonly agent_token: { readonly id: string }; readonly secret: string; readonly authority_sha256: string };
type Env = Readonly<Record<string, string>>;

describe('An agent that joins by a token', { timeout: 300_000 }, () => {
  let cluster: TestCluster;
  const agents: ClusterProcess[] = [];
  before(async () => {
    cluster = await startTestCluster({ tls: true, agents: 1, joinValid: '15s' });
    await cluster.rest.deployExample('echo');
  });
  after(async () => {
    for (const agent of agents) await agent.stop();
    await cluster.dispose();
  });

  const tokenFor = async (body: object): Promise<NewToken> => {
    const answer = await cluster.rest.call<NewToken>('POST', '/v1/agent-tokens', body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const envOf = ({ secret, authority_sha256: authority }: NewToken): Env => ({
    EVENFALL_AGENT_JOIN_TOKEN: secret,
    EVENFALL_AGENT_JOIN_CA: authority,
  });
  const folder = (name: string): string => join(cluster.dataDir, name);
  const startAgent = (name: string, env: Env): ClusterProcess => {
    const address = (of: string): string => cluster.process(of).addresses['grpc'] ?? '';
    const agent = clusterProcess({
      name,
      args: [join(import.meta.dirname, '../../services/instance-agent/src/main.ts')],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '/',
        EVENFALL_STOP_ON_STDIN_END: 'true',
        EVENFALL_METRICS_PORT: '0',
        EVENFALL_INTERNAL_KEY: cluster.internalKey,
        EVENFALL_DATA_DIR: cluster.dataDir,
        EVENFALL_AGENT_DATA_DIR: folder(name),
        EVENFALL_AGENT_DRAIN_DEADLINE: '0s',
        EVENFALL_AGENT_JOIN_ADDRESS: cluster.process('registry').addresses['join'] ?? '',
        EVENFALL_REGISTRY_ADDRESS: address('registry'),
        EVENFALL_SCHEDULER_ADDRESS: address('scheduler'),
        EVENFALL_EVENT_STORE_ADDRESS: address('event-store'),
        ...env,
      },
      readyWithinMs: 60_000,
      stopWithinMs: 20_000,
      onLine: () => undefined,
      onDeath: () => undefined,
    });
    agents.push(agent);
    agent.start();
    return agent;
  };
  /** How an agent ends that is to be refused, and what it says. */
  const refused = async (name: string, env: Env): Promise<string> => {
    const agent = startAgent(name, env);
    agent.ready().catch(() => undefined);
    assert.equal(await agent.exited(), 1);
    return agent.stderr();
  };
  type Agents = { agents: { id: string; capacity_mb: number }[] };
  const attached = async (id: string) => (await cluster.rest.call<Agents>('GET', '/v1/agents')).body.agents.find((one) => one.id === id);
  const certificateOf = (name: string): X509Certificate => new X509Certificate(readFileSync(join(folder(name), 'identity/cert.pem')));

  it('gets a certificate, runs what it counts for, and has it renewed without a restart', async () => {
    const token = await tokenFor({ agent_id: 'host-9', max_capacity_mb: 256 });
    const agent = startAgent('joins', { ...envOf(token), EVENFALL_AGENT_CAPACITY_MB: '100000' });
    await agent.ready();
    const first = certificateOf('joins');
    assert.deepEqual(identitiesOf(first.subjectAltName), ['agent/host-9']);
    for (const file of ['key.pem', 'cert.pem', 'ca.pem'])
      assert.equal(statSync(join(folder('joins'), 'identity', file)).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder('joins'), 'identity')).mode & 0o777, 0o700);
    assert.equal((await attached('host-9'))?.capacity_mb, 256, 'not what it says');
    const { pid } = agent;
    await eventually(() => certificateOf('joins').serialNumber !== first.serialNumber, 30_000);
    // Past the end of the first one it is still there, and runs events alone.
    await eventually(() => Date.now() > first.validToDate.getTime() + 1_000, 30_000);
    await cluster.process('agent-1').kill9();
    const { id } = await cluster.rest.send('echo', { n: 1 });
    const ended = await cluster.rest.ended(id, 60_000);
    assert.deepEqual(ended.result, { n: 1 });
    assert.equal(ended.attempts.at(-1)?.agent_id, 'host-9');
    assert.equal(agent.pid, pid);
    // The token is used, and not needed any more.
    await agent.restart();
    await eventually(async () => (await attached('host-9')) !== undefined);
    assert.match(await refused('thief', envOf(token)), /lets this agent not join/);
    cluster.process('agent-1').start();
    await cluster.process('agent-1').ready();
  });

  it('gets no other certificate once its token is revoked', async () => {
    const token = await tokenFor({});
    const agent = startAgent('leaves', envOf(token));
    await agent.ready();
    const [identity = ''] = identitiesOf(certificateOf('leaves').subjectAltName);
    assert.match(identity, /^agent\/agent-[0-9a-f]{20}$/);
    const { status } = await cluster.rest.call('POST', `/v1/agent-tokens/${token.agent_token.id}:revoke`);
    assert.equal(status, 200);
    const last = certificateOf('leaves').validToDate.getTime();
    await eventually(() => /JOIN_REFUSED|No certificate is issued/.test(agent.stderr()), 30_000);
    await eventually(async () => Date.now() > last && (await attached(identity.slice('agent/'.length))) === undefined, 60_000);
    const audit = await cluster.rest.call<{ audit_records: { operation: string; outcome: string }[] }>(
      'GET',
      '/v1/audit-records?action=agent_tokens.manage',
    );
    assert.ok(audit.body.audit_records.some(({ operation, outcome }) => operation === 'revokeAgentToken' && outcome === 'OK'));
    assert.ok(!JSON.stringify(audit.body).includes(token.secret));
  });

  it('is refused with a token that has expired, or is for another, or is none', async () => {
    const other = await tokenFor({ agent_id: 'host-8' });
    assert.match(await refused('other', { ...envOf(other), EVENFALL_AGENT_NAME: 'host-7' }), /lets this agent not join/);
    const late = await tokenFor({ time_to_live: '1s' });
    await eventually(async () => {
      const { body } = await cluster.rest.call<{ agent_tokens: { id: string; expire_time: string }[] }>('GET', '/v1/agent-tokens');
      return Date.parse(body.agent_tokens.find(({ id }) => id === late.agent_token.id)?.expire_time ?? '') < Date.now();
    });
    assert.match(await refused('late', envOf(late)), /lets this agent not join/);
    assert.match(await refused('none', { ...envOf(late), EVENFALL_AGENT_JOIN_TOKEN: `evj_${'A'.repeat(43)}` }), /lets this agent not join/);
    assert.match(await refused('no-ca', { EVENFALL_AGENT_JOIN_TOKEN: late.secret }), /EVENFALL_AGENT_JOIN_CA/);
  });

  it('sends its token only to the registry of its platform', async () => {
    const received: string[] = [];
    const foreign = await makeAuthority(folder('foreign'));
    const mine = readFileSync(join(cluster.dataDir, 'tls/ca.pem'), 'utf8');
    const token = await tokenFor({});
    // Another authority; another authority with the certificate of this one shown beside; another service of this platform.
    const servers = [
      { ...(await foreign.issue('registry', { days: 1 })), chain: foreign.certificate },
      { ...(await foreign.issue('registry', { days: 1 })), chain: mine },
      {
        certificate: readFileSync(join(cluster.dataDir, 'tls/agent-agent-1/cert.pem'), 'utf8'),
        key: readFileSync(join(cluster.dataDir, 'tls/agent-agent-1/key.pem'), 'utf8'),
        chain: mine,
      },
    ];
    for (const [n, { certificate, key, chain }] of servers.entries()) {
      const server = createServer({ cert: `${certificate}\n${chain}`, key }, (request, response) => {
        request.on('data', (part: Buffer) => void received.push(part.toString()));
        request.on('end', () => response.end('{}'));
      });
      let handshakes = 0;
      server.on('secureConnection', () => handshakes++);
      server.on('tlsClientError', () => handshakes++);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number }; // it listens to TCP
      const agent = startAgent(`fooled-${n}`, { ...envOf(token), EVENFALL_AGENT_JOIN_ADDRESS: `127.0.0.1:${port}` });
      agent.ready().catch(() => undefined);
      await eventually(() => handshakes > 1 || !agent.isRunning, 20_000);
      await agent.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    assert.deepEqual(received, []);
    assert.match(await refused('other-ca', { ...envOf(token), EVENFALL_AGENT_JOIN_CA: foreign.sha256 }), /no certificate of the authority/);
    // The token is as good as before.
    const file = folder('token');
    writeFileSync(file, `${token.secret}\n`);
    chmodSync(file, 0o600);
    const { EVENFALL_AGENT_JOIN_CA } = envOf(token);
    await startAgent('by-file', { EVENFALL_AGENT_JOIN_TOKEN_FILE: file, EVENFALL_AGENT_JOIN_CA: EVENFALL_AGENT_JOIN_CA ?? '' }).ready();
  });
});
