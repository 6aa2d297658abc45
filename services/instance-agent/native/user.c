// The end of a user: ids are used again, so no process of the last holder may be left.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"

#define ROUNDS 60

int become(uid_t uid) {
  uid_t real, effective, saved;
  if (uid == 0 || setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) return -1;
  drop_capabilities();
  return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid && saved == uid ? 0 : -1;
}

/**
 * One call for all there are, so that nothing that forks meanwhile is missed (kill(2), -1). By a child that is that user and nothing else: the kernel
 * looks at the real id too, and at rights, so that a process that only borrows the id would kill everything that root has.
 */
static void kill_all_of(uid_t uid) {
  const pid_t killer = fork();
  if (killer == 0) {
    if (become(uid) != 0) _exit(1);
    kill(-1, SIGKILL);
    _exit(0);
  }
  // Until its call it is one of those that it kills, and they can stop it, again and again: it is given up, and another one tries.
  for (int status; killer > 0;) {
    const pid_t changed = waitpid(killer, &status, WUNTRACED);
    if (changed < 0 && errno != EINTR) return;
    if (changed == killer && !WIFSTOPPED(status)) return;
    if (changed == killer) kill(killer, SIGKILL);
  }
}

/** Whether a process is dead. One whose first thread has ended is called a zombie too, while its other threads go on. */
static int is_dead(const char *status, char state) {
  const char *threads = strstr(status, "\nThreads:\t");
  return state == 'X' || (state == 'Z' && (!threads || strtol(threads + 10, NULL, 10) <= 1));
}

static int is_of(int proc_fd, const char *pid, uid_t uid) {
  char path[300], text[2048];
  snprintf(path, sizeof path, "%s/status", pid);
  const int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = 0;
  // The owner of /proc/PID is root for a process that is not dumpable, which it decides itself; these lines are the kernel's.
  const char *state = strstr(text, "\nState:\t"), *ids = strstr(text, "\nUid:\t");
  if (!state || !ids || is_dead(text, state[8])) return 0;
  unsigned long real, effective, saved;
  if (sscanf(ids + 6, "%lu %lu %lu", &real, &effective, &saved) != 3) return 0;
  return real == uid || effective == uid || saved == uid;
}

static int count_of(int proc_fd, uid_t uid) {
  int count = 0;
  const int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  if (!folder) return -1;
  for (const struct dirent *entry; (entry = readdir(folder));)
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') count += is_of(proc_fd, entry->d_name, uid);
  closedir(folder);
  return count;
}

int end_user(const struct host *host, uid_t uid, int counts) {
  const int proc_fd = host->proc_fd;
  // Children are born in the function's namespace otherwise, which has ended.
  if (host->pid_space_fd >= 0 && setns(host->pid_space_fd, CLONE_NEWPID) != 0) return -1;
  const int found = counts ? count_of(proc_fd, uid) : 0;
  for (int round = 0; round < ROUNDS; round++) {
    kill_all_of(uid);
    if (count_of(proc_fd, uid) == 0) return found;
    const struct timespec pause = {.tv_nsec = (round < 10 ? 2 : 50) * 1000000L};
    nanosleep(&pause, NULL);
  }
  return -1;
}
