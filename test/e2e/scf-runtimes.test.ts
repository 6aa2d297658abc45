import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { type ScfClient, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { zipOf } from '../support/zip.ts';

describe("Tencent Cloud's SDK of SCF", () => {
  let stack: Stack;
  let client: ScfClient;
  before(async () => {
    stack = await startStack();
    client = scfClient(stack);
  });
  after(() => stack.dispose());

  const invokeAsync = async (FunctionName: string, payload: unknown = {}): Promise<string> =>
    (await client.Invoke({ FunctionName, InvocationType: 'Event', ClientContext: JSON.stringify(payload) })).RequestId ?? '';

  it('runs custom runtimes and web functions, and knows Go1', async () => {
    const create = async (FunctionName: string, files: Readonly<Record<string, string>>, more: object) => {
      const Code = { ZipFile: (await zipOf(files)).toString('base64') };
      await client.CreateFunction({ FunctionName, Code, AsyncRunEnable: 'TRUE', ...more });
      const { Runtime, Type, Handler } = await client.GetFunction({ FunctionName });
      return [Runtime, Type, Handler];
    };
    const bootstrap = readFileSync(new URL('../../examples/functions/custom-bash/bootstrap', import.meta.url), 'utf8');
    assert.deepEqual(await create('shell', { bootstrap }, { Runtime: 'CustomRuntime' }), ['CustomRuntime', 'Event', '']);
    const server = `require('node:http').createServer((request, response) => response.end(request.url)).listen(process.env.PORT);`;
    const web = { scf_bootstrap: '#!/bin/bash\nexec node server.js\n', 'server.js': server };
    assert.deepEqual(await create('site', web, { Runtime: 'Nodejs18.15', Type: 'HTTP' }), ['Nodejs18.15', 'HTTP', '']);
    assert.deepEqual(await create('gopher', { main: '#!/bin/sh\n' }, { Runtime: 'Go1' }), ['Go1', 'Event', 'main']);
    const shell = await invokeAsync('shell', { n: 1 });
    const site = await invokeAsync('site');
    for (const InvokeRequestId of [shell, site]) {
      await eventually(async () => {
        const status = (await client.GetAsyncEventStatus({ InvokeRequestId })).Result;
        return status?.Status === 'FINISHED' || assert.fail(`${status?.Status ?? ''} ${status?.StatusCode ?? ''}`);
      }, 60_000);
    }
    const { Data: runs } = await client.GetFunctionLogs({ FunctionName: 'site', FunctionRequestId: site });
    assert.match(runs?.[0]?.RetMsg ?? '', /event-invoke/);
  });
});
