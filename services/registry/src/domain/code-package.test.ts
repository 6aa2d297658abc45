import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { orThrow } from '@evenfall/errors';
import { completeSettings } from '@evenfall/function-model';
import { handlerFilesRefusal } from './code-package.ts';

/** Whether a package with these files, those with a star executable, is taken for a function. */
function check(runtime: string, handler: string, ...paths: readonly string[]): void {
  const settings = orThrow(completeSettings(FunctionMessage.fromPartial({ runtime, handler })));
  const bare = (path: string): string => path.replace('*', '');
  const programs = paths.filter((path) => path.endsWith('*')).map(bare);
  orThrow(handlerFilesRefusal(settings, { files: new Set(paths.map(bare)), programs: new Set(programs) }));
}

const TAKEN: readonly (readonly [string, string, ...string[]])[] = [
  ['python3', 'index.main', 'index.py'],
  ['python3', 'pkg.h', 'pkg/__init__.py'],
  ['python3', 'src.app.main.handler', 'src/app/main.py'],
  ['python3', 'src.app.handler', 'src/app/__init__.py'],
  ['python3', 'src/app.handler', 'src/app.py'],
  ['nodejs', 'src/index.handler', 'src/index.mjs'],
  ['custom', '', 'bootstrap*'],
  ['web', '', 'scf_bootstrap*', 'bootstrap'],
  ['web', '', 'bootstrap*'],
  ['go1', 'bin/main', 'bin/main*'],
];
const REFUSED: readonly (readonly [string, RegExp, string, ...string[]])[] = [
  ['python3', /needs pkg\.py or pkg\/__init__\.py/, 'pkg.h', 'pkg/main.py'],
  ['python3', /needs src\/app\/main\.py/, 'src.app.main.handler', 'main.py'],
  ['nodejs', /one|form|file\.function/, 'src.index.handler', 'src/index.js'],
  ['python3', /module\.function/, 'src..app.h', 'src/app.py'],
  ['python3', /module\.function/, '.app.h', 'app.py'],
  ['python3', /module\.function/, 'app.', 'app.py'],
  ['custom', /"bootstrap" is not executable.*chmod \+x/, '', 'bootstrap'],
  ['web', /"scf_bootstrap" is not executable/, '', 'scf_bootstrap', 'bootstrap*'],
  ['go1', /"main" is not executable/, '', 'main'],
  ['go1', /needs main/, '', 'other*'],
];

describe('a package and the handler it is for', () => {
  for (const [runtime, handler, ...paths] of TAKEN)
    it(`takes ${runtime} "${handler}" with ${paths.join(', ')}`, () => check(runtime, handler, ...paths));
  for (const [runtime, output, handler, ...paths] of REFUSED)
    it(`refuses ${runtime} "${handler}" with ${paths.join(', ')}`, () => assert.throws(() => check(runtime, handler, ...paths), output));
});
