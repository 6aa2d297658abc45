// What a function sees of cgroups: its own, whose limits many runtimes size themselves by, and no other.
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Host, startHost } from './testing/host.ts';
import { reasonsToSkip, reasonToSkip } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler', memoryMb: 128, tmpMb: 64 };
const LOOK = {
  'index.py': `import os
def handler(event, context):
    folders = [root for root, _, names in os.walk("/sys/fs/cgroup") if "cgroup.procs" in names]
    own = [line.strip().split(":", 2)[2] for line in open("/proc/self/cgroup")]
    limits = {}
    for folder in folders:
        for name in ("memory.limit_in_bytes", "memory.max"):
            if os.path.exists(folder + "/" + name): limits[folder] = int(open(folder + "/" + name).read())
    written = []
    for folder in folders + ["/sys/fs/cgroup"]:
        try: open(folder + "/cgroup.procs", "w").write("0"); written.append(folder)
        except OSError: pass
    return {"folders": folders, "own": own, "limits": limits, "written": written}
`,
};
type Seen = { folders: string[]; own: string[]; limits: Record<string, number>; written: string[] };

const PLACES = ['process', 'bubblewrap'] as const;
const skipOf = await reasonsToSkip(PLACES, (sandbox) => reasonToSkip(sandbox, ['private-tmp', 'memory-limit']));

for (const sandbox of PLACES)
  describe(`What a function sees of cgroups in sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox });
    });
    after(() => host.dispose());

    it('is its own, with its limits, and none that it can write to', async () => {
      const [one, two] = await Promise.all([1, 2].map(() => host.start(PYTHON, LOOK)));
      const [first, second] = (await Promise.all(
        [one, two].map(async (instance) => JSON.parse((await host.ended(host.run(instance ?? ''))).result.toString()) as unknown),
      )) as [Seen, Seen];
      assert.deepEqual(
        first.folders.filter((folder) => second.folders.includes(folder)),
        [],
      );
      for (const seen of [first, second]) {
        assert.equal(new Set(seen.folders.map((folder) => basename(folder))).size, 1, seen.folders.join(' '));
        assert.ok(seen.folders.length > 0);
        for (const folder of seen.folders) {
          assert.ok(
            seen.own.some((path) => path !== '/' && folder.endsWith(path)),
            `${folder} is where ${seen.own.join(' ')} leads`,
          );
        }
        assert.deepEqual(
          Object.values(seen.limits),
          [(128 + 64 + 64) * 1024 * 1024],
          'its memory, its room, and what the kernel may need beside them',
        );
        assert.deepEqual(seen.written, []);
      }
    });
  });
