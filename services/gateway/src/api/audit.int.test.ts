// When a change is in the audit log: before it begins, and once it is done. Terminations that are done are written from the event log.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { AuditRecord_Api as Api } from '@evenfall/contracts/v1/audit_service';
import { Event } from '@evenfall/contracts/v1/event';
import { EventServiceService, TerminateEventRequest } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { refuse } from '@evenfall/errors';
import { type GrpcClient, grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { timeOfUuidV7 } from '@evenfall/time';
import { call, callScf, openApis, WITH_KEY } from '../testing/harness.ts';

const ID = '01990000-0000-7000-8000-00000000000c';
const OF_EVENT = { FunctionName: 'killer', InvokeRequestId: ID };

describe('the audit log', () => {
  const apis = openApis();
  let events: GrpcClient<typeof EventServiceService>;
  let functions: GrpcClient<typeof FunctionServiceService>;
  before(() => {
    const address = `127.0.0.1:${apis.gateway.grpcPort}`;
    events = grpcClient(EventServiceService, address, { headers: WITH_KEY });
    functions = grpcClient(FunctionServiceService, address, { headers: WITH_KEY });
  });
  after(() => {
    events.close();
    functions.close();
  });
  beforeEach(() => {
    apis.world.audit.length = 0;
    apis.world.terminations.length = 0;
    apis.world.events.set(ID, Event.create({ id: ID, namespace: 'default', function: 'killer', state: 2, trigger: 'api' }));
  });

  const TERMINATE = {
    REST: { api: Api.REST, operation: 'terminateEvent', ask: () => call(`${apis.url}/v1/events/${ID}:terminate`, 'POST', {}) },
    gRPC: {
      api: Api.GRPC,
      operation: 'evenfall.v1.EventService/TerminateEvent',
      ask: () => events.client.terminateEvent(TerminateEventRequest.create({ id: ID })).catch(() => undefined),
    },
    SCF: { api: Api.SCF, operation: 'TerminateAsyncEvent', ask: () => callScf(apis.url, 'TerminateAsyncEvent', OF_EVENT) },
  };
  for (const [name, { api, operation, ask }] of Object.entries(TERMINATE)) {
    it(`leaves a termination by ${name} that is done to the event log, which says who asked from where`, async () => {
      await ask();
      const [termination] = apis.world.terminations;
      const { id, time, ...asked } = termination?.audit ?? assert.fail('nothing was terminated');
      assert.equal(time?.getTime(), timeOfUuidV7(id));
      const call = { keyId: 'test', address: '127.0.0.1', api, action: 'events.terminate', operation };
      assert.deepEqual(asked, { ...call, namespace: '', subject: ID, outcome: '' });
      assert.deepEqual(apis.world.audit, [], 'nothing is written before its signal, nor a second record after it');
    });

    it(`has a termination by ${name} that failed, with the id that its record in the event log has`, async () => {
      apis.world.queueFailure = refuse('LOG_UNAVAILABLE', { detail: 'away' });
      const asked: (string | undefined)[] = [];
      const [queue] = apis.world.ports.queues;
      assert.ok(queue);
      const { terminateEvent } = queue;
      Object.assign(queue, {
        terminateEvent: (...given: Parameters<typeof terminateEvent>) => {
          asked.push(given[0].audit?.id);
          return terminateEvent(...given);
        },
      });
      await ask();
      Object.assign(queue, { terminateEvent });
      const [record] = await eventually(() => apis.world.audit.length > 0 && apis.world.audit);
      assert.ok(record && asked.length > 0 && asked.every((id) => id === record.id));
      assert.deepEqual([record.api, record.operation, record.subject], [api, operation, ID]);
      assert.ok(!['OK', 'BEGUN'].includes(record.outcome), record.outcome);
    });
  }

  const named = { namespace: 'default', name: 'killer' };
  const CHANGES = {
    REST: { api: Api.REST, ask: () => call(`${apis.url}/v1/namespaces/default/functions/killer/versions`, 'POST', {}) },
    gRPC: { api: Api.GRPC, ask: () => functions.client.publishFunctionVersion({ ...named, description: '' }) },
    SCF: { api: Api.SCF, ask: () => callScf(apis.url, 'PublishVersion', { FunctionName: 'killer' }) },
  };
  for (const [name, { api, ask }] of Object.entries(CHANGES)) {
    it(`has a change by ${name} as begun before it is, and the same record says then what it came to`, async () => {
      const { functions: clients } = apis.world.ports;
      const { publishFunctionVersion } = clients;
      const seen: string[] = [];
      let isRefused = false;
      Object.assign(clients, {
        publishFunctionVersion: (...given: Parameters<typeof publishFunctionVersion>) => {
          seen.push(...apis.world.audit.map((one) => `${one.id} ${one.api} ${one.namespace} ${one.subject} ${one.outcome}`));
          return isRefused ? Promise.reject(refuse('FUNCTION_NOT_FOUND', { function: 'killer' })) : publishFunctionVersion(...given);
        },
      });
      for (const isOk of [true, false]) {
        seen.length = apis.world.audit.length = 0;
        isRefused = !isOk;
        await Promise.resolve(ask()).catch(() => undefined);
        const [record] = apis.world.audit;
        assert.deepEqual(seen, [`${record?.id} ${api} default killer BEGUN`]);
        assert.equal(apis.world.audit.length, 1);
        assert.equal(record?.outcome === 'OK', isOk, record?.outcome);
        assert.notEqual(record?.outcome, 'BEGUN');
      }
      Object.assign(clients, { publishFunctionVersion });
    });
  }

  it('has one record of what is refused before it begins', async () => {
    const answer = await call(`${apis.url}/v1/namespaces/default/functions/killer/reserved-concurrency`, 'PUT', { what: 1 });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(apis.world.audit.length, 1);
    assert.ok(!['OK', 'BEGUN'].includes(apis.world.audit[0]?.outcome ?? ''));
  });
});
