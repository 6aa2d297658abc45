// What the function sees of the host's files. Steps are executed in order, each an option with its arguments.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x1
#define MOUNT_ATTR_NOSUID 0x2
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#define AT_WHOLE_TREE 0x8000
/** Of one function. All of the host have 4,096 together (`kernel.pty.max`), a quarter of them for the host alone. */
#define MOST_TERMINALS "32"

/** `struct mount_attr` of the kernel, which C libraries learned late. */
struct attributes {
  unsigned long long set, clear, propagation, userns_fd;
};

/** One mount point of /proc/self/mountinfo has spaces and the like as octal numbers. */
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from; from++, to++) {
    if (from[0] == '\\' && from[1] && from[2] && from[3]) {
      *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
      from += 3;
    } else {
      *to = *from;
    }
  }
  *to = 0;
}

static unsigned long kept_flags(const char *path) {
  struct statvfs info;
  if (statvfs(path, &info) != 0) return 0;
  unsigned long flags = 0;
  if (info.f_flag & ST_NODEV) flags |= MS_NODEV;
  if (info.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
  if (info.f_flag & ST_NOATIME) flags |= MS_NOATIME;
  if (info.f_flag & ST_RELATIME) flags |= MS_RELATIME;
  return flags;
}

/** For kernels before Linux 5.12, which cannot change a tree of mounts in one call. */
static void make_each_readonly(void) {
  FILE *table = fopen("/proc/self/mountinfo", "re");
  if (!table) fail("readonly", "/proc/self/mountinfo");
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, table) > 0) {
    char path[4096];
    if (sscanf(line, "%*s %*s %*s %*s %4095s", path) != 1) continue;
    unescape(path);
    if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | kept_flags(path), NULL) == 0) continue;
    // A mount beneath another one cannot be reached, by the function neither.
    if (errno != EINVAL && errno != ENOENT && errno != EACCES) fail("readonly", path);
  }
  free(line);
  fclose(table);
}

static void make_readonly(void) {
  const struct attributes attributes = {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_WHOLE_TREE, &attributes, sizeof attributes) == 0) return;
  if (errno != ENOSYS) fail("readonly", "/");
  make_each_readonly();
}

/** The option names of the steps, and how many arguments each takes. */
static const struct {
  const char *name;
  int arity;
} STEPS[] = {{"--readonly", 0}, {"--tmpfs", 3}, {"--bind", 2}, {"--seal", 1}, {"--dir", 2}, {"--file", 1}, {"--link", 2}, {"--devpts", 1}};

int arity_of(const char *step) {
  for (size_t at = 0; at < sizeof STEPS / sizeof *STEPS; at++)
    if (strcmp(STEPS[at].name, step) == 0) return STEPS[at].arity;
  return -1;
}

static void run_step(const char *step, char **to) {
  char options[96];
  if (strcmp(step, "--readonly") == 0) return make_readonly();
  if (strcmp(step, "--tmpfs") == 0) {
    snprintf(options, sizeof options, "size=%s,mode=%s", to[1], to[2]);
    if (mount("tmpfs", to[0], "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) fail("tmpfs", to[0]);
  } else if (strcmp(step, "--bind") == 0) {
    if (mount(to[0], to[1], NULL, MS_BIND | MS_REC, NULL) != 0) fail("bind", to[1]);
  } else if (strcmp(step, "--seal") == 0) {
    if (mount(NULL, to[0], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | kept_flags(to[0]), NULL) != 0) fail("seal", to[0]);
  } else if (strcmp(step, "--dir") == 0) {
    const mode_t mode = (mode_t)strtoul(to[1], NULL, 8);
    if (mkdir(to[0], mode) != 0 && errno != EEXIST) fail("dir", to[0]);
    if (chmod(to[0], mode) != 0) fail("dir", to[0]);
  } else if (strcmp(step, "--file") == 0) {
    const int fd = open(to[0], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) fail("file", to[0]);
    close(fd);
  } else if (strcmp(step, "--link") == 0) {
    if (symlink(to[0], to[1]) != 0) fail("link", to[1]);
  } else if (strcmp(step, "--devpts") == 0) {
    if (mount("devpts", to[0], "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,max=" MOST_TERMINALS) != 0) fail("devpts", to[0]);
  }
}

void run_mount_steps(char **steps, int count) {
  for (int at = 0; at < count; at += 1 + arity_of(steps[at])) run_step(steps[at], steps + at + 1);
}

/** By a process of the namespace that it shows. Processes of other users, init too, are not in it. */
void mount_proc(int is_bare) {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") != 0) fail("proc", "/proc");
  if (is_bare) return;
  static const char *const HIDDEN[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger", "/proc/latency_stats"};
  for (size_t at = 0; at < sizeof HIDDEN / sizeof *HIDDEN; at++)
    if (mount("/dev/null", HIDDEN[at], NULL, MS_BIND, NULL) != 0 && errno != ENOENT) fail("proc", HIDDEN[at]);
}

/** Letters, digits and hyphens: nothing that is a path. */
static int is_name(const char *name) {
  const size_t length = strlen(name);
  return length > 0 && length <= 80 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == length;
}

/** Shows one package to a function that runs already. The folder of all packages is this process's working directory, which covers do not hide. */
int mount_package(const char *root, const char *name) {
  char target[4200];
  if (!is_name(name)) return -1;
  snprintf(target, sizeof target, "%s/%s", root, name);
  if (mkdir(target, 0755) != 0 && errno != EEXIST) return -1;
  return mount(name, target, NULL, MS_BIND, NULL);
}
