import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runCli } from '../support/cli.ts';
import type { ErrorAnswer } from '../support/rest-client.ts';
import { scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const ROOM = `import os, resource
def main(event, context):
    found = os.statvfs("/tmp")
    return [found.f_blocks * found.f_frsize // 2**20, resource.getrlimit(resource.RLIMIT_NPROC)[0]]
`;
const PATH = '/v1/namespaces/default/functions/roomy';
type Fn = { readonly tmp_mb: number; readonly max_processes: number; readonly revision: number };

describe('tmp_mb and max_processes of a function', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    const fn = { name: 'roomy', runtime: 'python3', handler: 'index.main', tmp_mb: 64, max_processes: 32 };
    await stack.rest.deploy(fn, { 'index.py': ROOM });
  });
  after(() => stack.dispose());
  const boundsOf = ({ tmp_mb: tmpMb, max_processes: maxProcesses }: Fn): number[] => [tmpMb, maxProcesses];
  const get = async (): Promise<Fn> => (await stack.rest.call<Fn>('GET', PATH)).body;

  it('are kept, shown, changed and set back, and bound its instances', async (context) => {
    const { agents } = (await stack.rest.call<{ agents: { abilities: { name: string; available: boolean }[] }[] }>('GET', '/v1/agents'))
      .body;
    const can = (name: string): boolean => agents[0]?.abilities.some((one) => one.name === name && one.available) === true;
    const runs = async (): Promise<unknown> => {
      if (!can('private-tmp') || !can('own-users')) {
        context.diagnostic('this host gives instances no room or user of their own');
        return undefined;
      }
      return (await stack.rest.call<{ result: unknown }>('POST', `${PATH}:invoke`, {})).body.result;
    };
    const is = async (bounds: number[]): Promise<void> => {
      assert.deepEqual(boundsOf(await get()), bounds);
      const ran = await runs();
      if (ran !== undefined) assert.deepEqual(ran, bounds);
    };
    await is([64, 32]);
    const shown = await runCli(stack, ['functions', 'get', 'roomy']);
    assert.match(shown.stdout, /"tmp_mb": 64,\s+"max_processes": 32/);
    const before = (await get()).revision;
    await stack.rest.call('PATCH', PATH, { tmp_mb: 128 });
    assert.ok((await get()).revision > before);
    await is([128, 32]);
    await scfClient(stack).UpdateFunctionConfiguration({ FunctionName: 'roomy', MemorySize: 256 });
    await is([128, 32]);
    await stack.rest.call('PATCH', PATH, { tmp_mb: null, max_processes: null });
    await is([512, 256]);
  });

  it('are refused beyond their limits', async () => {
    for (const [field, value] of [
      ['tmp_mb', 63],
      ['tmp_mb', 4_097],
      ['tmp_mb', '64'],
      ['max_processes', 15],
      ['max_processes', 4_097],
      ['max_processes', 64.5],
      ['max_processes', 0],
    ] as const) {
      const { status, body } = await stack.rest.call<ErrorAnswer>('PATCH', PATH, { [field]: value });
      assert.deepEqual([status, body.error.details[0]?.reason, body.error.details[0]?.metadata['field']], [400, 'INVALID_FIELD', field]);
    }
  });
});
