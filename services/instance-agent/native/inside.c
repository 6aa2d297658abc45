// A sandbox with a kernel of its own: what passes between the launcher and the init that it starts in there, and what that init does for the agent.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

#define MAX_SIGNAL 64
/** A user that owns nothing. */
#define GUARD 65534

/** Descriptors in a message, and the one byte that every message of a stream needs. */
struct parcel {
  struct msghdr message;
  struct iovec part;
  char byte;
  _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int) * MAX_HANDED)];
};

static struct cmsghdr *wrap(struct parcel *parcel) {
  memset(parcel, 0, sizeof *parcel);
  parcel->part = (struct iovec){.iov_base = &parcel->byte, .iov_len = 1};
  parcel->message.msg_iov = &parcel->part;
  parcel->message.msg_iovlen = 1;
  parcel->message.msg_control = parcel->room;
  parcel->message.msg_controllen = sizeof parcel->room;
  return CMSG_FIRSTHDR(&parcel->message);
}

/** Makes the standard input of this process one that holds the descriptors for who reads it first, and then ends. */
int hand_descriptors(const int *fds, int count) {
  int ends[2];
  struct parcel parcel;
  struct cmsghdr *header = wrap(&parcel);
  const size_t length = sizeof(int) * (size_t)count;
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(length);
  memcpy(CMSG_DATA(header), fds, length);
  parcel.message.msg_controllen = CMSG_SPACE(length);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  if (sendmsg(ends[1], &parcel.message, MSG_NOSIGNAL) != 1 || dup2(ends[0], STDIN_FILENO) < 0) return -1;
  close(ends[1]);
  return 0;
}

/** Puts what was handed on in the places of the channel and of the messages. */
void receive_descriptors(void) {
  struct parcel parcel;
  int fds[MAX_HANDED], count = 0;
  wrap(&parcel);
  errno = EBADMSG;
  if (recvmsg(STDIN_FILENO, &parcel.message, 0) != 1) fail("descriptors", "message");
  const struct cmsghdr *header = CMSG_FIRSTHDR(&parcel.message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (count > MAX_HANDED) count = MAX_HANDED;
    memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)count);
  }
  if (count == 0) fail("descriptors", "message");
  // First out of the way of the places.
  for (int at = 0; at < count; at++) {
    const int high = fcntl(fds[at], F_DUPFD_CLOEXEC, CHANNEL_FD + MAX_HANDED);
    if (high < 0) fail("descriptors", "places");
    close(fds[at]);
    fds[at] = high;
  }
  for (int at = 0; at < count; at++) {
    if (dup2(fds[at], CHANNEL_FD + at) < 0) fail("descriptors", "places");
    close(fds[at]);
  }
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) fail("open", "/dev/null");
  close(nothing);
}

/** What /proc says of a process: its state and its group; 0 if it has gone. */
static char state_of(const char *pid, int *group) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  text[got] = 0;
  char state = 0;
  const char *name_end = strrchr(text, ')');
  if (!name_end || sscanf(name_end + 1, " %c %*d %d", &state, group) != 2) return 0;
  return state;
}

/** Calls for every process of the sandbox that lives, but for this one. */
static void each_living(void (*take)(int pid, char state, int group, void *to), void *to) {
  DIR *all = opendir("/proc");
  if (!all) return;
  for (struct dirent *entry; (entry = readdir(all));) {
    int group = 0;
    const int pid = atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    const char state = state_of(entry->d_name, &group);
    if (state && state != 'Z' && state != 'X') take(pid, state, group, to);
  }
  closedir(all);
}

static void continue_stopped(int pid, char state, int group, void *to) {
  if (group == *(const pid_t *)to && (state == 'T' || state == 't')) kill(pid, SIGCONT);
}

/**
 * Obeys `signal NUMBER leader` and `signal NUMBER group`. The number of a leader that is buried names its group as long as that has members. A stopped
 * process receives a signal but acts on it only once it runs again; SIGCONT goes only to stopped processes, because it can be caught.
 */
void send_signal(const struct family *family, const char *words) {
  char *scope;
  pid_t leader = family->leader;
  const long number = strtol(words, &scope, 10);
  const int is_of_group = strcmp(scope, " group") == 0;
  if (number < 1 || number > MAX_SIGNAL || (!is_of_group && strcmp(scope, " leader") != 0)) return send_line("unsent");
  if (family->is_leader_over && (!is_of_group || family->is_group_over)) return send_line("unsent");
  int group;
  char name[16];
  snprintf(name, sizeof name, "%d", leader);
  const char state = family->is_leader_over ? 0 : state_of(name, &group);
  if (state == 'T' || state == 't') kill(-leader, SIGCONT);
  else if (is_of_group) each_living(continue_stopped, &leader);
  if (kill(is_of_group ? -leader : leader, (int)number) == 0) send_line("sent");
  else send_line(errno == EPERM ? "denied" : "unsent");
}

static void count_one(int pid, char state, int group, void *to) {
  (void)pid, (void)state, (void)group;
  ++*(int *)to;
}

/** Reports how many processes run beside the leader. */
void send_others(const struct family *family) {
  int count = 0;
  each_living(count_one, &count);
  send_line("others %d", family->is_leader_over || count == 0 ? count : count - 1);
}

/** Reports after the leader's end whether processes of its group are left, and once more when none are. */
void look_at_group(struct family *family) {
  if (!family->is_leader_over || family->is_group_over) return;
  family->is_group_over = kill(-family->leader, 0) != 0 && errno == ESRCH;
  if (family->is_group_over) send_line("ungrouped");
  else if (!family->is_group_reported) send_line("grouped");
  family->is_group_reported = 1;
}

void become_guard(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct rights[2] = {{.effective = 1 << CAP_KILL, .permitted = 1 << CAP_KILL}, {0}};
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresgid(GUARD, GUARD, GUARD) != 0 || setresuid(GUARD, GUARD, GUARD) != 0) fail("guard", "user");
  if (syscall(SYS_capset, &header, rights) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("guard", "rights");
}
