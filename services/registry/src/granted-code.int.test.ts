import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type GetCodePackageRequest, RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { CreateFunctionRequest, FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { isRefusal } from '@evenfall/errors';
import { createGrants, GRANT_BYTES, type Granted, grantedAttempt, grantedPackage } from '@evenfall/grants';
import { CALLER_HEADER, inProcessClient } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { fakeClock } from '@evenfall/time';
import { testDatabase, type TestDatabase } from '@evenfall/testkit';
import { type RunningRegistry, startRegistry } from './service.ts';
import { pythonPackage } from './testing/zip-maker.ts';

describe('the code of the registry', () => {
  let db: TestDatabase;
  let running: RunningRegistry;
  const clock = fakeClock();
  before(async () => {
    db = await testDatabase();
    running = await startRegistry({ sql: db.sql, log: silentLog, clock }, {});
  });
  after(async () => {
    await running.stop();
    await db.drop();
  });

  const client = () => inProcessClient(RegistryServiceService, running.registry);
  const signed = async (granted: Granted): Promise<Buffer> => {
    const grants = createGrants();
    grants.use((await client().getGrantKeys({})).keys);
    return grants.sign(granted, 'agent-1', clock.now()).bytes;
  };
  const whyNoCode = async (request: GetCodePackageRequest, registry = client()): Promise<string> => {
    try {
      for await (const { data } of registry.getCodePackage(request)) assert.ok(data.length > 0);
      return '';
    } catch (error) {
      return isRefusal(error) ? error.reason : String(error);
    }
  };

  it('hands out code for the grant of an instance that has it, to the agent that has the grant, and for nothing else', async () => {
    const fn = { namespace: 'default', name: 'killer', runtime: 'python3', handler: 'index.main_handler' };
    const made = CreateFunctionRequest.create({ function: fn, codeZip: pythonPackage() });
    const codeSha256 = (await inProcessClient(FunctionServiceService, running.functions).createFunction(made)).function?.codeSha256 ?? '';
    const good = { codeSha256, agentId: 'agent-1', instanceId: 'i-1', grant: await signed(grantedPackage('i-1', codeSha256)) };
    assert.equal(await whyNoCode(good), '');
    const ofAttempt = await signed(grantedAttempt({ eventId: 'i-1', attempt: 1, partition: 0 }));
    const wrong: readonly Partial<GetCodePackageRequest>[] = [
      { grant: Buffer.alloc(0) },
      { grant: randomBytes(GRANT_BYTES) },
      { grant: Buffer.concat([good.grant.subarray(0, -1), Buffer.from([(good.grant.at(-1) ?? 0) ^ 1])]) },
      { grant: Buffer.concat([good.grant, Buffer.alloc(1)]) },
      { grant: ofAttempt },
      { agentId: 'agent-2' },
      { agentId: '' },
      { instanceId: 'i-2' },
      { instanceId: `i-1\0${codeSha256}` },
      { codeSha256: 'f'.repeat(64) },
      { codeSha256: '' },
    ];
    for (const more of wrong) assert.equal(await whyNoCode({ ...good, ...more }), 'NOT_GRANTED', JSON.stringify(more));
    const header = (name: string): string | undefined => (name === CALLER_HEADER ? 'agent/agent-2' : undefined);
    const other = inProcessClient(RegistryServiceService, {
      ...running.registry,
      getCodePackage: (request, context) => running.registry.getCodePackage(request, { ...context, header }),
    });
    assert.equal(await whyNoCode(good, other), 'CALLER_NOT_ALLOWED');
  });
});
