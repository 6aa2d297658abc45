import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Folders in which a process that was started ahead finds its package later. */
export type CodeSlots = {
  /** Where packages are; each slot is seen in this place. */
  readonly codeRoot: string;
  /** Words before a command: it then sees, and keeps seeing, what is put into the slot. Its mounts are its own. `at` is an empty folder. */
  words(slot: string, at: string): string[];
  make(slot: string): void;
  /** Puts a package into a slot; answers whether it worked. Names without anything a shell or a path would read. */
  show(slot: string, codeName: string): Promise<boolean>;
  remove(slot: string, codeName: string | undefined): void;
  /** Whether the process that holds the mounts is there: its number may be somebody else's otherwise, and nothing is started by it. */
  isOpen(): boolean;
  close(): void;
};

export type SlotTools = {
  readonly unshare: string;
  readonly mount: string;
  readonly umount: string;
  readonly nsenter: string;
  /** Words that let it die with the agent. */
  readonly dyingWithAgent: readonly string[];
};

const OPENS_WITHIN_MS = 20_000;
const NAME = /^[A-Za-z0-9-]{1,80}$/;

/*
 * All mounts are in a name space of their own, which ends with the one process that holds it: a killed agent leaves none behind. Packages are
 * made read-only there first: a bind copies that, and what comes by propagation comes as it was bound.
 */
const KEEPER = [
  'mount=$1 umount=$2 code=$3 slots=$4',
  '"$mount" --no-mtab --bind "$code" "$code" && "$mount" --no-mtab -o remount,bind,ro,nosuid,nodev "$code" || exit 125',
  '"$mount" --no-mtab --bind "$slots" "$slots" && "$mount" --no-mtab --make-shared "$slots" || exit 125',
  'echo yes',
  'while read -r what slot name; do',
  '  if [ "$what" = show ]; then "$mount" --no-mtab --bind "$code/$name" "$slots/$slot/$name" && echo yes || echo no',
  '  else "$umount" --no-mtab -l "$slots/$slot/$name" 2>/dev/null; echo yes; fi',
  'done',
].join('\n');

/** Starts with all but its own slot out of the way, or every package that is shown to anybody would be mounted here too. */
const ENTER = '"$1" --no-mtab --bind "$3" "$4" && "$2" --no-mtab -l "$5" || exit 125; shift 5; exec "$@"';

/** Opens a place for slots beneath a folder of the agent's; or says in words why there is none. */
export async function openCodeSlots(temporaryRoot: string, codeRoot: string, tools: SlotTools): Promise<CodeSlots | string> {
  const root = mkdtempSync(join(temporaryRoot, 'slots-'));
  const { unshare, mount, umount, nsenter, dyingWithAgent } = tools;
  const words = [unshare, '--mount', '--propagation', 'private', '--', '/bin/sh', '-c', KEEPER, 'sh', mount, umount, codeRoot, root];
  const [program = '', ...args]: readonly string[] = [...dyingWithAgent, ...words];
  const keeper = spawn(program, args, { cwd: '/', env: {}, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let isOver = false;
  let said = '';
  let rest = '';
  const waiting: ((yes: boolean) => void)[] = [];
  const over = (): void => {
    isOver = true;
    for (const answer of waiting.splice(0)) answer(false);
  };
  keeper.on('error', over);
  keeper.on('close', over);
  keeper.stdin.on('error', () => undefined); // its end is the news
  keeper.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-500)));
  keeper.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) waiting.shift()?.(line === 'yes');
  });
  const ask = (line: string): Promise<boolean> =>
    new Promise((resolve) => {
      if (isOver) return resolve(false);
      waiting.push(resolve);
      if (line !== '') keeper.stdin.write(`${line}\n`);
    });
  const close = (): void => {
    keeper.stdin.end();
    rmSync(root, { recursive: true, force: true });
  };
  const late = setTimeout(() => keeper.kill('SIGKILL'), OPENS_WITHIN_MS);
  const isOpen = await ask('');
  clearTimeout(late);
  if (!isOpen) {
    close();
    return `mounts cannot be shared: ${said.trim() || 'the process that holds them ended'}`;
  }
  return {
    codeRoot,
    words(slot, at) {
      mkdirSync(at);
      const enter = [nsenter, `--mount=/proc/${keeper.pid}/ns/mnt`, '--', unshare, '--mount', '--propagation', 'slave', '--'];
      return [...enter, '/bin/sh', '-c', ENTER, 'sh', mount, umount, join(root, slot), at, root];
    },
    make: (slot) => mkdirSync(join(root, slot), { mode: 0o755 }),
    async show(slot, codeName) {
      if (!NAME.test(slot) || !NAME.test(codeName)) return false;
      mkdirSync(join(root, slot, codeName), { mode: 0o755 });
      return ask(`show ${slot} ${codeName}`);
    },
    remove(slot, codeName) {
      const removed = codeName === undefined ? Promise.resolve(true) : ask(`hide ${slot} ${codeName}`);
      void removed.then(() => rmSync(join(root, slot), { recursive: true, force: true }));
    },
    isOpen: () => !isOver,
    close,
  };
}
