const MAX_FILES = 1024;
/** Of one user: it bounds an instance only where it has a user of its own. */
export const MAX_PROCESSES = 1024;

/**
 * The last words before the program, already as the instance's user: limits, then one line of descriptor 3, which brings the function's own
 * variables. They come this late because the programs before this one may run as root, and variables such as LD_PRELOAD are orders to them.
 * `ulimit` has another letter for processes in each shell. `keep` leaves descriptor 3 open, `drop` does not.
 */
const STAGE = [
  'ulimit -c 0',
  `ulimit -n ${MAX_FILES} 2>/dev/null`,
  '[ "$2" = 0 ] || ulimit -u "$2" 2>/dev/null || ulimit -p "$2" 2>/dev/null',
  'if [ -n "$3" ]; then cd -- "$3" || exit 125; fi',
  'IFS= read -r evenfall_line <&3 || exit 125',
  'unset OLDPWD', // of the cd above: no variable of the function's
  "evenfall_break='\n'",
  'if [ "$1" = drop ]; then exec 3<&-; fi',
  'shift 3',
  'eval "$evenfall_line"',
  'exec "$@"',
].join('\n');

export type StageTerms = {
  /** Whether the program gets the channel. */
  readonly keepsChannel: boolean;
  /** 0 for no limit. */
  readonly maxProcesses: number;
  /** Entered first; empty for where it is. */
  readonly folder: string;
};

/** The command that waits for its line and becomes `words`: the same process. */
export function staged(words: readonly string[], { keepsChannel, maxProcesses, folder }: StageTerms): string[] {
  return ['/bin/sh', '-c', STAGE, 'sh', keepsChannel ? 'keep' : 'drop', String(maxProcesses), folder, ...words];
}

/** The line that lets it go: variables as assignments a shell reads, and nothing of them as anything else. */
export function releaseLine(variables: Readonly<Record<string, string>>): Buffer {
  const words = Object.entries(variables).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Error(`The variable "${name}" has a name no shell can set`);
    return `command export ${name}=${quoted(value)}`;
  });
  return Buffer.from(`${words.join(';')}\n`);
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`).replaceAll('\n', `'"$evenfall_break"'`)}'`;
}
