import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The name of a function's user, as in its variables USER and LOGNAME. */
const NAME = 'evenfall';

/**
 * Writes the host's lists of users and groups with one more line each: many programs fail for a user without a name (`os.userInfo()`, `whoami`,
 * ssh, `getpwuid`). Answers which files to mount over which; nothing where the host has no such lists.
 */
export function writeAccountFiles(folder: string, uid: number): { readonly source: string; readonly target: string }[] {
  const lists = [
    ['passwd', `${NAME}:x:${uid}:${uid}:Evenfall function:/tmp:/bin/sh`],
    ['group', `${NAME}:x:${uid}:`],
  ] as const;
  return lists.flatMap(([name, line]) => {
    const target = `/etc/${name}`;
    const host = read(target);
    if (host === undefined) return [];
    const source = join(folder, name);
    const others = host.split('\n').filter((each) => each !== '' && !each.startsWith(`${NAME}:`));
    writeFileSync(source, `${[...others, line].join('\n')}\n`, { mode: 0o644 });
    return [{ source, target }];
  });
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
