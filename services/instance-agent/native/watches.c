// Descriptors that a function watches by epoll: the kernel counts those of a user of the host together, and a function that has the agent's user could
// take all of them from the agent, whose program ends then. No limit of the kernel bounds one process of a user alone, so they are counted.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"

static int is_number(const char *name) { return *name >= '0' && *name <= '9'; }

/** How many descriptors a process or a thread can have open, by what /proc says of its table; 0 where it has none any more. */
static long table_size(const char *task, int *threads) {
  char path[96], text[2048];
  struct stat info;
  snprintf(path, sizeof path, "%s/fd", task);
  if (stat(path, &info) != 0) return 0;
  if (info.st_size > 0) return info.st_size; // Linux 6.2 counts them
  snprintf(path, sizeof path, "%s/status", task);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  text[got] = 0;
  const char *size = strstr(text, "\nFDSize:\t"), *count = strstr(text, "\nThreads:\t");
  *threads = count ? (int)strtol(count + 10, NULL, 10) : 1;
  return size ? strtol(size + 9, NULL, 10) : 0;
}

/** What one epoll descriptor watches: one line of /proc for each. Stops counting beyond `most`. */
static long watches_of(const char *task, const char *fd_name, long most) {
  static char text[1 << 16];
  char path[128], before = '\n';
  long count = 0;
  snprintf(path, sizeof path, "%s/fdinfo/%.20s", task, fd_name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  for (ssize_t got; count <= most && (got = read(fd, text, sizeof text)) > 0;)
    for (ssize_t at = 0; at < got; at++) {
      if (before == '\n' && text[at] == 't') count++; // "tfd:", and no other line of it begins so
      before = text[at];
    }
  close(fd);
  return count;
}

static long watches_in_table(const char *task, long most) {
  char path[96], kind[64];
  long count = 0;
  snprintf(path, sizeof path, "%s/fd", task);
  DIR *table = opendir(path);
  if (!table) return 0;
  for (const struct dirent *entry; count <= most && (entry = readdir(table));) {
    if (!is_number(entry->d_name)) continue;
    const ssize_t got = readlinkat(dirfd(table), entry->d_name, kind, sizeof kind - 1);
    if (got <= 0) continue;
    kind[got] = 0;
    if (strcmp(kind, "anon_inode:[eventpoll]") == 0) count += watches_of(task, entry->d_name, most - count);
  }
  closedir(table);
  return count;
}

/** A process whose first thread has ended has its table with the others, which all have the same one: the filter refuses another. */
static long in_threads(long (*take)(const char *task, long most), const char *process, long most) {
  char path[96];
  long found = 0;
  int none;
  snprintf(path, sizeof path, "%s/task", process);
  DIR *threads = opendir(path);
  for (const struct dirent *each; threads && found == 0 && (each = readdir(threads));) {
    if (!is_number(each->d_name)) continue;
    snprintf(path, sizeof path, "%.40s/task/%.20s", process, each->d_name);
    if (table_size(path, &none) > 0) found = take(path, most);
  }
  if (threads) closedir(threads);
  return found;
}

/** The sum over every process but init; stops beyond `most`. */
static long sum_of(long (*take)(const char *task, long most), long most) {
  DIR *all = opendir("/proc");
  long sum = 0;
  for (const struct dirent *entry; all && sum <= most && (entry = readdir(all));) {
    char process[64];
    int threads = 1;
    if (!is_number(entry->d_name) || strcmp(entry->d_name, "1") == 0) continue;
    snprintf(process, sizeof process, "/proc/%.20s", entry->d_name);
    if (table_size(process, &threads) > 0) sum += take(process, most - sum);
    else if (threads > 1) sum += in_threads(take, process, most - sum);
  }
  if (all) closedir(all);
  return sum;
}

static long size_only(const char *task, long most) {
  int none;
  (void)most;
  return table_size(task, &none);
}

int watches_too_many(long most) {
  // With so many descriptors in all, half of them an epoll that watches the other half, there are no more watches than that.
  long few = 1;
  while (few * few < most) few++;
  return sum_of(size_only, 2 * few) > 2 * few && sum_of(watches_in_table, most) > most;
}
