// A data folder whose path no shell, no list and no option would accept unquoted.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { tempDir } from '@evenfall/testkit';
import { startHost } from './testing/host.ts';
import { reasonsToSkip, reasonToSkip, SANDBOXES } from './testing/sandboxes.ts';

const NAMES = [`it's "here" & there`, '--dash, $HOME `id` ; # é%20\\n', ' tab\tand\nline ', '*?[a]{b}~'];
const folder = tempDir('data-folder');
after(() => folder.remove());

const PLACES = [...SANDBOXES, 'none'] as const;
const skipOf = await reasonsToSkip(PLACES, async (sandbox) => (sandbox === 'none' ? false : reasonToSkip(sandbox)));

for (const sandbox of PLACES)
  describe(`An agent in sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    for (const name of NAMES)
      it(`runs functions from a data folder called ${JSON.stringify(name)}`, async () => {
        const dataDir = join(folder.path, sandbox, name);
        mkdirSync(dataDir, { recursive: true });
        const host = await startHost({ sandbox, dataDir, ready: sandbox === 'process' ? 1 : 0 });
        try {
          const python = { runtime: 'python3', handler: 'index.handler' };
          const reads =
            'import os\ndef handler(e, c):\n    open("/tmp/x", "w").write("x")\n    return open(os.path.join(os.path.dirname(__file__), "data")).read()\n';
          const first = await host.ended(host.run(await host.start(python, { 'index.py': reads, data: 'its own' })));
          assert.deepEqual([first.outcome, first.result.toString()], [Outcome.RETURNED, '"its own"'], first.error.toString());
          const bootstrap = `#!/bin/sh
while :; do
  id=$(curl -sD - -o /tmp/event "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next" | tr -d '\\r' | sed -n 's/^lambda-runtime-aws-request-id: //Ip')
  curl -s --data-binary @/tmp/event "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" >/dev/null
done
`;
          const second = await host.ended(host.run(await host.start({ runtime: 'custom', handler: 'h' }, { bootstrap }), { a: 1 }));
          assert.equal(second.result.toString(), '{"a":1}', second.error.toString());
        } finally {
          await host.dispose();
        }
      });
  });
