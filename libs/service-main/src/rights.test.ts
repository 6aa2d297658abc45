import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { isRefusal } from '@evenfall/errors';
import { SERVICES as SERVERS } from '@evenfall/peer-identity';
import { callersOf, callersOfServer, checkCaller } from './rights.ts';

const SERVICES: readonly Readonly<Record<string, { readonly path: string }>>[] = [
  EventStoreServiceService,
  QueueServiceService,
  RegistryServiceService,
  SchedulerServiceService,
  FunctionServiceService,
  AccessKeyServiceService,
  QuotaServiceService,
];
const PATHS = SERVICES.flatMap((service) => Object.values(service).map(({ path }) => path));
const reasonOf = (caller: string | undefined, path: string): string => {
  try {
    checkCaller({ caller, path });
    return '';
  } catch (error) {
    return isRefusal(error) ? error.reason : String(error);
  }
};

describe('Rights between services', () => {
  it('are there for every method of every private service', () => {
    assert.ok(PATHS.length > 40);
    for (const path of PATHS) assert.ok(callersOf(path).length > 0, path);
  });

  it('are those of the table, for every caller', () => {
    for (const path of PATHS)
      for (const caller of ['gateway', 'registry', 'queue', 'scheduler', 'event-store', 'agent/a'] as const) {
        const kind = caller === 'agent/a' ? 'agent' : caller;
        assert.equal(reasonOf(caller, path), callersOf(path).includes(kind) ? '' : 'CALLER_NOT_ALLOWED', `${caller} ${path}`);
      }
  });

  it('say of every service who calls it', () => {
    const callers = Object.fromEntries(SERVERS.map((server) => [server, callersOfServer(server)]));
    assert.deepEqual(callers, {
      gateway: [],
      registry: ['agent', 'event-store', 'gateway', 'queue', 'scheduler'],
      queue: ['gateway'],
      scheduler: ['agent', 'gateway', 'queue'],
      'event-store': ['agent', 'gateway', 'queue'],
    });
  });

  it('are none without a certificate, or with a made-up one, and for a method that does not exist', () => {
    for (const path of PATHS) {
      assert.equal(reasonOf(undefined, path), 'UNAUTHENTICATED');
      for (const caller of ['', 'agent', 'agents/a', 'constructor']) assert.equal(reasonOf(caller, path), 'CALLER_NOT_ALLOWED', caller);
    }
    for (const path of [
      '',
      '/',
      '/evenfall.queue.v1.QueueService/',
      '/evenfall.queue.v1.QueueService/constructor',
      '/__proto__/toString',
      '/x/y/z',
    ])
      assert.equal(reasonOf('gateway', path), 'CALLER_NOT_ALLOWED', path);
  });

  it('let an agent take work and code, write log lines, and renew its certificate, and nothing else', () => {
    assert.deepEqual(
      PATHS.filter((path) => reasonOf('agent/a', path) === '').map((path) => path.split('/')[2]),
      ['AppendLogLines', 'GetCodePackage', 'RenewCertificate', 'Attach', 'RenewLease'],
    );
  });
});
