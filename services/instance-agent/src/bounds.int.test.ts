import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { durationOfMs } from '@evenfall/time';
import { GVISOR_MB } from './adapters/process/launch/gvisor-process.ts';
import { errorOf, type Host, startHost } from './testing/host.ts';
import { reasonsToSkip, reasonToSkip, SANDBOXES } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(60_000) };
const MB = 2 ** 20;
/** Fills the folders one after the other, until each reports that it is full or the room is used up. */
const FILL = `
import errno, os
def handler(folders, c):
    block, found = b"x" * 1048576, []
    for folder in folders:
        size, fault = 0, "none"
        with open(folder + "/fill", "wb", buffering=0) as file:
            try:
                while size < 700 * 2**20: size += file.write(block)
            except OSError as error: fault = errno.errorcode[error.errno]
        found.append([fault, size])
    return found
`;
/** As many threads as there may be, up to 400 more. */
const TASKS = `
import threading
def handler(e, c):
    stop, count = threading.Event(), 0
    try:
        while count < 400:
            threading.Thread(target=stop.wait).start()
            count += 1
    except RuntimeError: pass
    tasks = [l for l in open("/proc/self/status") if l.startswith("Threads:")][0].split()[1]
    stop.set()
    return int(tasks)
`;
const FORKS = `
import errno, os, signal
def handler(e, c):
    pids, fault = [], "none"
    try:
        while len(pids) < 400:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
    except OSError as error: fault = errno.errorcode[error.errno]
    for pid in pids: os.kill(pid, 9)
    for pid in pids: os.waitpid(pid, 0)
    return [fault, len(pids)]
`;

const skipOf = await reasonsToSkip(SANDBOXES, (sandbox) => reasonToSkip(sandbox, ['own-users', 'private-tmp', 'memory-limit']));

for (const sandbox of SANDBOXES)
  describe(`The bounds of a function in sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox, ready: 0 });
    });
    after(() => host.dispose());
    const resultOf = async (code: string, payload: unknown, more: object): Promise<unknown> => {
      const ended = await host.ended(host.run(await host.start({ ...PYTHON, ...more }, { 'index.py': code }), payload));
      assert.equal(ended.outcome, Outcome.RETURNED, ended.error.toString());
      return JSON.parse(ended.result.toString());
    };

    it('have the host report how much of its memory files hold, until they are gone', async () => {
      const write = 'import time\ndef handler(e, c):\n    open("/tmp/held", "wb").write(b"x" * 100 * 2**20)\n    time.sleep(60)\n';
      const id = host.run(await host.start({ ...PYTHON, memoryMb: 256, tmpMb: 160 }, { 'index.py': write }));
      const ofSandbox = sandbox === 'gvisor' ? GVISOR_MB : 0;
      await host.until(() => host.temporaryMb >= ofSandbox + 100, 'a full room');
      assert.ok(host.temporaryMb < ofSandbox + 110, String(host.temporaryMb));
      host.stop(id, 'FORCE');
      await host.ended(id);
      await host.until(() => host.temporaryMb === 0, 'no room used');
    });

    it('have room for temporary files as large as tmp_mb, and no larger', async () => {
      for (const [tmpMb, room] of [
        [64, 64],
        [0, 512],
        [640, 640],
      ] as const) {
        const folders = ['/tmp', '/var/tmp', '/dev/shm'];
        const found = (await resultOf(FILL, folders, { tmpMb, memoryMb: 64 })) as [string, number][];
        const total = found.reduce((sum, [, size]) => sum + size, 0);
        assert.ok(
          found.every(([fault]) => fault === 'ENOSPC'),
          JSON.stringify(found),
        );
        assert.ok(total <= room * MB && total > room * MB * 0.9 - 2 * MB, `${total} of ${room} MB`);
      }
    });

    it('end it with 434 where what it holds in memory is more than its memory, whatever room it has for files', async () => {
      const hold = 'def handler(e, c):\n    held = [bytearray(b"x" * 2**20) for _ in range(1000)]\n    return len(held)\n';
      const instance = await host.start({ ...PYTHON, memoryMb: 64, tmpMb: 64 }, { 'index.py': hold });
      const ended = await host.ended(host.run(instance));
      assert.deepEqual([ended.outcome, errorOf(ended)['statusCode']], [Outcome.OUT_OF_MEMORY, 434]);
      const ofSandbox = sandbox === 'gvisor' ? GVISOR_MB : 0;
      assert.ok(Number(ended.memoryBytes) < (64 + 64 + 64 + 16 + ofSandbox) * MB, String(ended.memoryBytes));
    });

    it('have as many processes and threads as max_processes, and no more', async () => {
      for (const [maxProcesses, most] of [
        [16, 16],
        [0, 256],
        [320, 320],
      ] as const) {
        const tasks = Number(await resultOf(TASKS, 1, { maxProcesses, memoryMb: 512 }));
        assert.ok(tasks <= most && tasks > most - 6, `${tasks} threads of ${most}`);
        const [fault, count] = (await resultOf(FORKS, 1, { maxProcesses, memoryMb: 3_072 })) as [string, number];
        assert.equal(fault, 'EAGAIN');
        assert.ok(count < most && count > most - 6, `${count} processes of ${most}`);
      }
    });

    it('are enough for every runtime where they are lowest', async () => {
      const node = { runtime: 'nodejs', handler: 'index.handler', maxProcesses: 16, tmpMb: 64, memoryMb: 64 };
      const code =
        'const { readFile } = require("fs/promises"); exports.handler = async () => (await readFile("/etc/hostname")).length >= 0;';
      const ended = await host.ended(host.run(await host.start(node, { 'index.js': code })));
      assert.equal(ended.result.toString(), 'true', ended.error.toString());
    });
  });
