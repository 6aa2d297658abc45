// What functions do to themselves and to their host, on purpose or not: each failure has its own name, and the agent goes on.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { durationOfMs } from '@evenfall/time';
import { errorOf, type Host, isAlive, startHost } from './testing/host.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const LEAVES = `import os, subprocess, sys, time
def handler(e, c):
    pids = []
    # A session of its own; a double fork; one that is stopped; and all of it below one that is gone.
    pids.append(subprocess.Popen(["sleep", "3600"], start_new_session=True).pid)
    r, w = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid:
            os.write(w, str(pid).encode())
            os._exit(0)
        os.execv("/bin/sleep", ["sleep", "3600"])
    pids.append(int(os.read(r, 20)))
    still = subprocess.Popen(["sh", "-c", "sleep 3600 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True)
    pids.append(int(still.stdout.readline()))
    for pid in (pids[-1], still.pid):
        os.kill(pid, 19)
    print("pids", *pids, still.pid)
    time.sleep(60)
`;

describe('A hostile function', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  const ends = async (fn: Parameters<Host['start']>[0], code: string): Promise<AttemptResult> =>
    host.ended(host.run(await host.start(fn, { [fn.runtime === 'nodejs' ? 'index.js' : 'index.py']: code })));
  const goesOn = async (): Promise<void> => {
    const ended = await ends(PYTHON, 'def handler(e, c):\n    return "well"\n');
    assert.equal(ended.result.toString(), '"well"');
  };

  it('writes whatever it likes on the channel of its runtime, and it becomes what any function may report', async () => {
    // Frames as a runtime writes them, with results, errors and codes that none would write.
    const forge = (kind: number, body: string): string => `
import os, struct, time
def handler(event, context):
    seq = struct.pack("<I", event["seq"])
    body = ${body}
    os.write(3, struct.pack("<IB", len(body) + 1, ${kind}) + body)
    time.sleep(1)
`;
    const instanceOf = async (code: string): Promise<AttemptResult> =>
      host.ended(host.run(await host.start(PYTHON, { 'index.py': code }), { seq: 1 }));
    const notJson = await instanceOf(forge(20, 'seq + b"\\0\\0\\0\\0" + b"{not json,\\n\\xff"'));
    assert.equal(JSON.parse(notJson.result.toString()), '{not json,\n\ufffd');
    for (const [code, seen] of [
      [200, 430],
      [0, 430],
      [499, 430],
      [65_535, 430],
      [437, 437],
    ] as const) {
      const failed = await instanceOf(forge(21, `seq + b"\\0\\0\\0\\0" + struct.pack("<H", ${code}) + b"no object" * 100000`));
      assert.equal(failed.statusCode, seen);
      assert.match((JSON.parse(failed.error.toString()) as { errorMessage: string }).errorMessage, /^no object/);
      assert.ok(failed.error.length < 70_000);
    }
    await goesOn();
  });

  it('that floods its channel and reads nothing is removed, and costs the agent no memory', async () => {
    // 24: it requests more time, and is answered. 17: it greets, and gets what to load.
    const flood = (kind: number, body: string): string => `
import os, struct, time
def handler(event, context):
    frames = (struct.pack("<IB", ${body.length} + 1, ${kind}) + b"${body}") * 5000
    end = time.time() + 3
    while time.time() < end: os.write(3, frames)
    return "flooded"
`;
    const before = process.memoryUsage().rss;
    const asks = await ends({ ...PYTHON, timeout: durationOfMs(20_000) }, flood(24, '12345678'));
    assert.deepEqual([asks.outcome, asks.statusCode], [Outcome.THREW, 430]);
    assert.match(errorOf(asks).errorMessage, /cannot be talked to: it requests more time without reading the answers/);
    const greets = await ends({ ...PYTHON, timeout: durationOfMs(20_000) }, flood(17, ''));
    assert.deepEqual([greets.statusCode, greets.result.toString()], [200, '"flooded"']);
    const growthMb = (process.memoryUsage().rss - before) / 1024 / 1024;
    assert.ok(growthMb < 200, `${growthMb} MB`);
    await goesOn();
  });

  it('leaves nothing behind: sessions of their own, double forks, grandchildren that are stopped', async () => {
    for (const how of ['FORCE', 'GRACEFUL'] as const) {
      const instance = await host.start(PYTHON, { 'index.py': LEAVES });
      const id = host.run(instance);
      const line = await host.line(id, /^pids/);
      const pids = (line.line?.text ?? '')
        .split(' ')
        .slice(1)
        .map((pid) => host.pidOf(instance, pid));
      assert.equal(pids.length, 4);
      assert.ok(pids.every(isAlive));
      host.stop(id, how, how === 'GRACEFUL' ? { gracePeriod: durationOfMs(5_000) } : undefined);
      const ended = await host.ended(id);
      assert.deepEqual(pids.filter(isAlive), [], how);
      assert.equal(ended.stop?.sweptProcessCount, 4);
      assert.ok(ended.stop.containment > 0);
    }
  });

  it('that closes its channel, or its output, ends by itself or by its timeout', async () => {
    const closes = await ends(
      { ...PYTHON, timeout: durationOfMs(1_000) },
      'import os\ndef handler(e, c):\n    os.close(3)\n    return 1\n',
    );
    assert.deepEqual([closes.outcome, closes.statusCode], [Outcome.EXITED, 439]);
    const mute = await ends(PYTHON, 'import os\ndef handler(e, c):\n    os.close(1); os.close(2)\n    return 1\n');
    assert.equal(mute.statusCode, 200);
    const silent = await ends(
      { ...NODE, timeout: durationOfMs(1_000) },
      'exports.handler = () => { require("fs").closeSync(3); return 1; };\n',
    );
    assert.ok([433, 439].includes(silent.statusCode), String(silent.statusCode));
    await goesOn();
  });

  it('that answers with far too much gets an error, or runs out of memory', async () => {
    const large = await ends({ ...PYTHON, memoryMb: 512 }, 'def handler(e, c):\n    return "x" * (50 * 1024 * 1024)\n');
    assert.deepEqual([large.outcome, large.statusCode], [Outcome.THREW, 407]);
    const code =
      'import os\ndef handler(e, c):\n    head = (0x3fffffff).to_bytes(4, "little") + bytes([20])\n    os.write(3, head)\n    for _ in range(64): os.write(3, bytes(1 << 20))\n';
    const frames = await ends({ ...PYTHON, timeout: durationOfMs(20_000) }, code);
    assert.deepEqual([frames.outcome, frames.statusCode], [Outcome.THREW, 430]);
    assert.match(errorOf(frames).errorMessage, /cannot be talked to: it wrote to the channel of its runtime/);
    const huge = await ends(
      { ...PYTHON, memoryMb: 256, timeout: durationOfMs(20_000) },
      'def handler(e, c):\n    return "x" * (1 << 30)\n',
    );
    assert.deepEqual([huge.outcome, huge.statusCode], [Outcome.OUT_OF_MEMORY, 434]);
    await goesOn();
  });

  it('that multiplies is swept completely', async () => {
    const code = `import os, time
def handler(e, c):
    for _ in range(7): os.fork()
    time.sleep(60)
`;
    const ended = await ends({ ...PYTHON, memoryMb: 4096, timeout: durationOfMs(2_000) }, code);
    assert.deepEqual([ended.outcome, ended.statusCode, ended.stop?.cause], [Outcome.TIMED_OUT, 433, Cause.TIMEOUT]);
    await goesOn();
  });
});

/** A disk of its own, which can be filled; undefined where none can be mounted. */
function smallDisk(): string | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'evenfall-disk-'));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', dir]).status === 0) return dir;
  rmSync(dir, { recursive: true });
  return undefined;
}

describe('A disk that is full', () => {
  const dataDir = smallDisk();
  after(() => {
    if (!dataDir) return;
    spawnSync('umount', [dataDir]);
    rmSync(dataDir, { recursive: true });
  });

  it('costs the starts that need it, and outcomes their copy; nothing else', { skip: !dataDir }, async () => {
    const host = await startHost({ dataDir: dataDir ?? '' });
    const warm = await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return "warm"\n' });
    await host.ended(host.run(warm));
    const filler = join(dataDir ?? '', 'filler');
    assert.throws(() => writeFileSync(filler, Buffer.alloc(8 * 1024 * 1024)), /ENOSPC/);
    const id = host.run(await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return 1\n', 'large.txt': 'x'.repeat(100_000) }));
    const failed = await host.ended(id);
    assert.deepEqual([failed.outcome, failed.statusCode], [Outcome.START_FAILED, 500], 'a system error: tried again elsewhere');
    assert.equal((await host.ended(host.run(warm))).result.toString(), '"warm"');
    rmSync(filler);
    const again = await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return 2\n', 'large.txt': 'x'.repeat(100_000) });
    assert.equal((await host.ended(host.run(again))).result.toString(), '2');
    await host.dispose();
  });
});
