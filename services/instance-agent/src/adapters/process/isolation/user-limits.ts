import { readFileSync } from 'node:fs';
import type { UserLimits } from '../../../domain/user-share.ts';
import { quietly } from './cgroup-controllers.ts';

/** What the kernel lets this process's user have of what it counts for each user. */
export function readUserLimits(): UserLimits {
  const own = quietly(() => readFileSync('/proc/self/limits', 'latin1')) ?? '';
  return {
    watches: numberIn(fileOf('/proc/sys/fs/epoll/max_user_watches')),
    inotify: numberIn(fileOf('/proc/sys/user/max_inotify_instances')),
    inotifyWatches: numberIn(fileOf('/proc/sys/user/max_inotify_watches')),
    pending: numberIn(/^Max pending signals\s+(\d+)/m.exec(own)?.[1]),
    queueBytes: numberIn(/^Max msgqueue size\s+(\d+)/m.exec(own)?.[1]),
  };
}

function fileOf(path: string): string | undefined {
  return quietly(() => readFileSync(path, 'latin1'));
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}
