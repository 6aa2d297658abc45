// What a user leaves in folders that all share, and in System V objects, where a function has no room of its own: removed as that user, once none of
// its processes is left.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

/** Folders within folders; what lies deeper is left, for it takes a descriptor each. */
#define MAX_DEPTH 200
/** Passes over all objects of one kind; no process is left that makes more. */
#define ROUNDS 3

static void empty(int folder_fd, uid_t uid, int depth);

static void remove_entry(int folder_fd, const char *name, uid_t uid, int depth) {
  struct stat info;
  if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || info.st_uid != uid) return;
  if (!S_ISDIR(info.st_mode)) {
    unlinkat(folder_fd, name, 0);
    return;
  }
  if (depth == MAX_DEPTH) return;
  fchmodat(folder_fd, name, 0700, 0);
  const int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  empty(fd, uid, depth + 1);
  unlinkat(folder_fd, name, AT_REMOVEDIR);
}

/** Closes the folder. */
static void empty(int folder_fd, uid_t uid, int depth) {
  DIR *folder = fdopendir(folder_fd);
  if (!folder) {
    close(folder_fd);
    return;
  }
  for (const struct dirent *entry; (entry = readdir(folder));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) remove_entry(dirfd(folder), entry->d_name, uid, depth);
  closedir(folder);
}

static int remove_shm(int id) { return shmctl(id, IPC_RMID, NULL); }
static int remove_msg(int id) { return msgctl(id, IPC_RMID, NULL); }
static int remove_sem(int id) { return semctl(id, 0, IPC_RMID); }

/** Lists of the kernel, the words of a row up to the one that is the owner, and how one of them is removed. Two words after its owner comes who made it. */
static const struct {
  const char *path;
  const char *row;
  int (*remove)(int id);
} OBJECTS[] = {
    {"/proc/sysvipc/shm", "%*s %d %*s %*s %*s %*s %*s %u %*s %u", remove_shm},
    {"/proc/sysvipc/msg", "%*s %d %*s %*s %*s %*s %*s %u %*s %u", remove_msg},
    {"/proc/sysvipc/sem", "%*s %d %*s %*s %u %*s %u", remove_sem},
};

/** Who made an object may give it to another owner, and stays able to remove it. */
static void remove_objects(uid_t uid) {
  for (size_t at = 0; at < sizeof OBJECTS / sizeof *OBJECTS; at++)
    for (int round = 0, removed = 1; round < ROUNDS && removed > 0; round++) {
      char line[512];
      FILE *list = fopen(OBJECTS[at].path, "re");
      for (removed = 0; list && fgets(line, sizeof line, list);) {
        int id;
        unsigned owner, maker;
        if (sscanf(line, OBJECTS[at].row, &id, &owner, &maker) != 3 || (owner != uid && maker != uid)) continue;
        removed += OBJECTS[at].remove(id) == 0;
      }
      if (list) fclose(list);
    }
}

void remove_leftovers(uid_t uid) {
  static const char *const SHARED[] = {"/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue"};
  const pid_t remover = fork();
  if (remover == 0) {
    if (become(uid) != 0) _exit(1);
    for (size_t at = 0; at < sizeof SHARED / sizeof *SHARED; at++) {
      const int fd = open(SHARED[at], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (fd >= 0) empty(fd, uid, 0);
    }
    remove_objects(uid);
    _exit(0);
  }
  while (remover > 0 && waitpid(remover, NULL, 0) < 0 && errno == EINTR) continue;
}
