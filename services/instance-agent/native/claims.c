// Claims of the agents of one host, each held by a small process for as long as its agent wants it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

/** Says that the claim is made, and keeps it until the input ends. */
static _Noreturn void stay(void) {
  char byte;
  if (write(STDOUT_FILENO, "held\n", 5) != 5) exit(1);
  while (read(STDIN_FILENO, &byte, 1) != 0) continue;
  exit(0);
}

/**
 * `--hold FILE FIRST COUNT`: holds a lock on so many bytes of a file, which may be missing, reports that it holds it, and ends with its input. The kernel
 * releases the lock when this process ends, and grants no two locks that overlap.
 */
_Noreturn void hold(const char *path, const char *first, const char *count) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
    exit(1);
  }
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = number_of(first), .l_len = number_of(count)};
  if (fcntl(fd, F_SETLK, &lock) != 0) exit(errno == EAGAIN || errno == EACCES ? 2 : 1);
  stay();
}

/**
 * `--hold-user UID`: is the only process of a user, says so, and ends with its input. The kernel counts the processes of a user in all containers of the
 * host, those of which no other one sees the files or the processes: who is not alone can make no further one.
 */
_Noreturn void hold_user(const char *uid) {
  const struct rlimit two = {.rlim_cur = 2, .rlim_max = 2};
  const long number = number_of(uid);
  if (number == 0 || number > 0xfffffffe || become((uid_t)number) != 0) exit(1);
  // A change of user clears it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || setrlimit(RLIMIT_NPROC, &two) != 0) exit(1);
  const pid_t second = fork();
  if (second == 0) _exit(0);
  if (second < 0) exit(errno == EAGAIN ? 2 : 1);
  while (waitpid(second, NULL, 0) < 0 && errno == EINTR) continue;
  stay();
}
