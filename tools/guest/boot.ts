import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { BaseImage } from './images.ts';

/** All of it: the boot takes half a minute, and tests five to ten times their time. */
const LIMIT_MS = 90 * 60_000;
const MEMORY_MB = 6_144;

/** Boots the guest, shows what its tests say, and answers their exit status; 1 if it ends without one. */
export async function runGuest(dir: string, base: BaseImage, checkout: string): Promise<number> {
  const consoleLog = join(dir, 'console.log');
  process.stdout.write('── the guest boots (software emulation)\n');
  const disk = (file: string): string[] => ['-drive', `file=${file},format=raw,if=virtio,cache=unsafe,snapshot=on`];
  const guest = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', String(MEMORY_MB)],
      ...['-display', 'none', '-monitor', 'none', '-no-reboot', '-nic', 'user,model=virtio-net-pci'],
      ...['-kernel', base.kernel, '-initrd', base.initrd, '-append', 'root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0'],
      ...['-serial', `file:${consoleLog}`, '-serial', 'stdio', ...disk(base.disk), ...disk(checkout)],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: dir } },
  );
  process.on('exit', () => guest.kill('SIGKILL'));
  const limit = setTimeout(() => {
    process.stderr.write(`✗ The guest took longer than ${LIMIT_MS / 60_000} minutes\n`);
    guest.kill('SIGKILL');
  }, LIMIT_MS);
  let status: number | undefined;
  for await (const line of createInterface({ input: guest.stdout })) {
    const output = /^guest: exit (\d+)/.exec(line);
    if (output) status = Number(output[1]);
    else process.stdout.write(`${line}\n`);
  }
  clearTimeout(limit);
  if (status !== undefined) return status;
  process.stderr.write(
    `✗ The guest ended without a result; the end of its console:\n${readFileSync(consoleLog, 'latin1').slice(-4_000)}\n`,
  );
  return 1;
}
