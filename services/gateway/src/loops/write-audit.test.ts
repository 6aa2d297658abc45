import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { newUuidV7 } from '@evenfall/time';
import type { AuditEntry } from '../domain/audit-entry.ts';
import { fakeWorld } from '../testing/fakes.ts';
import { createAuditTrail } from './write-audit.ts';

const entry = (subject: string): AuditEntry => ({
  id: newUuidV7(),
  keyId: 'ann',
  address: '127.0.0.1',
  api: AuditRecord_Api.REST,
  action: 'functions.write',
  operation: 'createFunction',
  namespace: 'default',
  subject,
  outcome: 'OK',
});

describe('the trail to the audit log', () => {
  const world = fakeWorld();
  let isAway = false;
  let failures = 0;
  const { recordAudit } = world.ports.registry;
  const registry: typeof world.ports.registry = {
    ...world.ports.registry,
    recordAudit: (...given) => {
      if (!isAway) return recordAudit(...given);
      failures++;
      return Promise.reject(new Error('away'));
    },
  };

  it('keeps every record once and in order, also those that had to wait for the registry', async () => {
    world.audit.length = 0;
    const trail = createAuditTrail({ registry, log: silentLog });
    const stopping = new AbortController();
    const running = trail.run(stopping.signal);
    await trail.note(entry('first'));
    assert.deepEqual(
      world.audit.map(({ subject }) => subject),
      ['first'],
      'it is kept when its note is answered',
    );
    isAway = true;
    const notes = ['second', 'third'].map((subject) => trail.note(entry(subject)));
    await eventually(() => failures > 0);
    isAway = false;
    await Promise.all(notes);
    await eventually(() => world.audit.length === 3);
    assert.deepEqual(
      world.audit.map(({ subject }) => subject),
      ['first', 'second', 'third'],
    );
    stopping.abort();
    await running;
  });

  it('holds so many and no more, and writes them when it is asked to before it stops', async () => {
    world.audit.length = 0;
    const trail = createAuditTrail({ registry, log: silentLog });
    for (let i = 0; i < 10_005; i++) void trail.note(entry(`f${i}`));
    assert.equal(trail.droppedCount, 5);
    await trail.flush();
    assert.equal(world.audit.length, 10_000);
    assert.equal(new Set(world.audit.map(({ id }) => id)).size, 10_000);
  });

  it('takes names as they come, and keeps what a database takes', async () => {
    world.audit.length = 0;
    const trail = createAuditTrail({ registry, log: silentLog });
    void trail.note(entry(`\0\ud800${'x'.repeat(500)}`));
    await trail.flush();
    const [record] = world.audit;
    assert.ok(record && record.subject.length <= 128 && record.subject.isWellFormed() && !record.subject.includes('\0'));
  });
});
