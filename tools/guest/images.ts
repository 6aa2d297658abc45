import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../run.ts';
import { fail, run } from './programs.ts';

const SUITE = 'trixie';
const PACKAGES = [
  'systemd-sysv',
  'systemd-resolved',
  'dbus',
  'udev',
  'kmod',
  'linux-image-cloud-amd64',
  'initramfs-tools',
  'bubblewrap',
  'nftables',
  'iproute2',
  'procps',
  'python3',
  'ca-certificates',
  'golang-go',
];

/** Where the guest finds the checkout. */
const CHECKOUT = '/opt/evenfall';

/** What is started at boot: it writes to the second serial port and ends with the status of the tests. */
const UNIT = `[Unit]
Description=Tests of Evenfall
Wants=network-online.target
After=network-online.target multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh ${CHECKOUT}/guest-tests.sh
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
TTYPath=/dev/ttyS1
Delegate=yes
TasksMax=infinity
ExecStopPost=/bin/sh -c 'systemctl poweroff --no-block'
`;

export type BaseImage = { readonly disk: string; readonly kernel: string; readonly initrd: string };

/** A Debian with what tests need, made once and kept in the cache of the user. */
export function baseImage(): BaseImage {
  const recipe = createHash('sha256').update(readFileSync(new URL(import.meta.url))).digest('hex').slice(0, 12); // prettier-ignore
  const dir = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'evenfall', `guest-${recipe}`);
  const image = { disk: join(dir, 'base.img'), kernel: join(dir, 'vmlinuz'), initrd: join(dir, 'initrd.img') };
  if (existsSync(image.disk)) return image;
  process.stdout.write(`── a Debian ${SUITE} in ${dir} (some minutes, once)\n`);
  const root = join(dir, 'root');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  run(['debootstrap', '--variant=minbase', '--merged-usr', `--include=${PACKAGES.join(',')}`, SUITE, root, mirror()], {
    DEBIAN_FRONTEND: 'noninteractive',
  });
  writeFileSync(join(root, 'etc/fstab'), `/dev/vda / ext4 rw 0 1\n/dev/vdb ${CHECKOUT} ext4 rw 0 2\n`);
  writeFileSync(join(root, 'etc/hostname'), 'guest\n');
  mkdirSync(join(root, CHECKOUT), { recursive: true });
  writeFileSync(join(root, 'etc/systemd/network/10-all.network'), '[Match]\nName=en*\n\n[Network]\nDHCP=yes\n');
  writeFileSync(join(root, 'etc/systemd/system/evenfall-tests.service'), UNIT);
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants');
  mkdirSync(wants, { recursive: true });
  symlinkSync('../evenfall-tests.service', join(wants, 'evenfall-tests.service'));
  run(['chroot', root, 'systemctl', 'enable', 'systemd-networkd', 'systemd-resolved']);
  const boot = readdirSync(join(root, 'boot'));
  for (const [kind, to] of [
    ['vmlinuz-', image.kernel],
    ['initrd.img-', image.initrd],
  ] as const) {
    // prettier-ignore
    const name = boot.find((entry) => entry.startsWith(kind)) ?? fail(`The Debian has no ${kind}… in /boot.`);
    cpSync(join(root, 'boot', name), to);
  }
  makeDisk(root, `${image.disk}.new`, '6G');
  rmSync(root, { recursive: true, force: true });
  renameSync(`${image.disk}.new`, image.disk);
  return image;
}

/** The files of this checkout as they are now, without what git ignores, with the installed dependencies. */
export function checkoutImage(dir: string, tests: readonly string[]): string {
  process.stdout.write('── this checkout as a disk\n');
  const root = join(dir, 'checkout');
  const files = run(['git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard']).split('\0').filter(Boolean);
  for (const file of files) {
    if (!existsSync(join(ROOT, file))) continue;
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(join(ROOT, file), join(root, file), { verbatimSymlinks: true });
  }
  run(['cp', '-a', join(ROOT, 'node_modules'), join(root, 'node_modules')]);
  run(['chown', '-R', 'root:root', root]);
  writeFileSync(join(root, 'guest-tests.sh'), script(tests));
  chmodSync(root, 0o755);
  const disk = join(dir, 'checkout.img');
  makeDisk(root, disk, '4G');
  rmSync(root, { recursive: true, force: true });
  return disk;
}

function script(tests: readonly string[]): string {
  const quoted = tests.map((file) => `'${file.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  return `cd ${CHECKOUT}
export NO_COLOR=1 PATH=${CHECKOUT}/node_modules/.bin:$PATH HOME=/root EVENFALL_TEST_SLOWNESS=8
stat --file-system --format='cgroups: %T' /sys/fs/cgroup
node services/instance-agent/src/doctor.ts
node --test --test-force-exit --test-concurrency=1 --test-timeout=1800000 --test-reporter=spec ${quoted}
echo "guest: exit $?"
`;
}

/** The mirror that apt uses on this machine. */
function mirror(): string {
  const uris = run(['apt-get', 'indextargets', '--format', '$(REPO_URI)']).split('\n');
  return uris.find((uri) => /\/debian\/?$/.test(uri)) ?? fail('apt on this machine names no mirror of Debian.');
}

function makeDisk(root: string, disk: string, size: string): void {
  run(['mke2fs', '-q', '-F', '-t', 'ext4', '-m', '0', '-d', root, disk, size]);
}
