// What the kernel counts for all of the host together: a function that uses all of it leaves the rest of the host none.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { durationOfMs } from '@evenfall/time';
import { type Host, startHost } from './testing/host.ts';
import { reasonToSkip, SANDBOXES } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(60_000), memoryMb: 128, tmpMb: 16 };
const PAGE = 4096;
const MB = 2 ** 20;
/** Connections of processes with themselves, as full as the kernel makes them; no process reads. */
const fillSockets = (processes: number): string => `
import os, socket, time
def fill():
    server, held, block = socket.socket(), [], b"x" * 262144
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    try:
        while True:
            held.append(socket.create_connection(server.getsockname()))
            held.append(server.accept()[0])
    except OSError: pass
    for end in held:
        end.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF): end.setsockopt(socket.SOL_SOCKET, option, 1 << 22)
    for _ in range(20):
        for end in held:
            try: end.send(block)
            except OSError: pass
    return len(held)
def handler(e, c):
    for child in range(${processes}):
        if os.fork() == 0:
            print("full", fill(), flush=True)
            time.sleep(60)
            os._exit(0)
    time.sleep(60)
`;
const TERMINALS = `
import errno, os
def handler(e, c):
    count = 0
    try:
        while True:
            os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
            count += 1
    except OSError as fault: return [count, errno.errorcode[fault.errno]]
`;

/** Of all sockets of the host. */
const socketBytes = (): number => {
  const text = readFileSync('/proc/net/sockstat', 'latin1');
  return Number(/^TCP:.* mem (\d+)$/m.exec(text)?.[1]) * PAGE;
};

// All before the first test: a run that is to end with its tests would end between two.
const skips = [];
for (const sandbox of SANDBOXES) skips.push([sandbox, await reasonToSkip(sandbox, ['own-users', 'private-tmp', 'memory-limit'])] as const);

for (const [sandbox, skip] of skips)
  describe(`What all of a host share, in sandbox ${sandbox}`, { skip }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox, ready: 0 });
    });
    after(() => host.dispose());

    it('memory of sockets: a function has no more of it than it has memory', async () => {
      const before = socketBytes();
      const id = host.run(await host.start(PYTHON, { 'index.py': fillSockets(4) }));
      let most = 0;
      await host.until(() => {
        most = Math.max(most, socketBytes() - before);
        return host.lines.filter(({ line }) => line?.text.startsWith('full')).length === 4;
      }, 'four processes that have filled their sockets');
      assert.ok(most < 256 * MB, `${Math.round(most / MB)} MB`);
      host.stop(id, 'FORCE');
      assert.equal((await host.ended(id)).outcome, Outcome.FORCE_KILLED);
    });

    // With version 2 of cgroups it has 2 GB of memory for that.
    const isCountedApart = existsSync('/sys/fs/cgroup/memory/memory.kmem.tcp.limit_in_bytes');
    it(
      'memory of sockets: a function with very many ends, before they hold what all connections of the host have together',
      { skip: !isCountedApart },
      async () => {
        const before = socketBytes();
        const large = { ...PYTHON, memoryMb: 2048, maxProcesses: 120 };
        const id = host.run(await host.start(large, { 'index.py': fillSockets(100) }));
        let most = 0;
        await host.until(() => {
          most = Math.max(most, socketBytes() - before);
          return host.reports.some(({ eventId, report }) => eventId === id && report?.$case === 'ended');
        }, 'its end');
        assert.equal((await host.ended(id)).outcome, Outcome.OUT_OF_MEMORY);
        assert.ok(most < 1024 * MB, `${Math.round(most / MB)} MB`);
      },
    );

    // Those of gVisor are not the host's.
    if (sandbox !== 'gvisor')
      it('terminals: a function has 32', async () => {
        const ended = await host.ended(host.run(await host.start(PYTHON, { 'index.py': TERMINALS })));
        assert.deepEqual(JSON.parse(ended.result.toString()), [32, 'ENOSPC']);
      });
  });
