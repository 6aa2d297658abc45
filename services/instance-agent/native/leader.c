// From a fork of the launcher to the function: every step either succeeds or ends the start.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

/** Of all variables of a function together; the registry takes far fewer. */
#define MAX_VARIABLES_BYTES (1 << 20)
#define LAST_CAPABILITY 63

extern char **environ;
static int report_to = -1;

static void send_report(char kind, const char *step) {
  struct report report = {.kind = kind, .error = errno};
  strncpy(report.step, step, sizeof report.step - 1);
  if (write(report_to, &report, sizeof report) != sizeof report) _exit(125);
}

static _Noreturn void give_up(const char *step) {
  send_report(REPORT_FAULT, step);
  _exit(125);
}

void drop_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}};
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) _exit(125);
  if (syscall(SYS_capset, &header, none) != 0) _exit(125);
}

/** So that no program gives any back. What was never there needs no right to be dropped. */
static void empty_bounding_set(void) {
  for (int capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) give_up("bounding set");
  }
}

static void bound(int resource, long most) {
  struct rlimit limit;
  if (most < 0) return;
  if (getrlimit(resource, &limit) != 0) give_up("limits");
  // A lower one that is there already stays: to raise it takes rights.
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > (rlim_t)most) limit.rlim_max = (rlim_t)most;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(resource, &limit) != 0) give_up("limits");
}

static void become_user(const struct plan *plan) {
  const int is_privileged = geteuid() == 0 || (plan->namespaces & CLONE_NEWUSER);
  if (is_privileged) empty_bounding_set();
  if (plan->uid >= 0) {
    const gid_t gid = (gid_t)plan->uid;
    const uid_t uid = (uid_t)plan->uid;
    if (setgroups(0, NULL) != 0) give_up("groups");
    if (setresgid(gid, gid, gid) != 0) give_up("group");
    if (setresuid(uid, uid, uid) != 0) give_up("user");
  }
  drop_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up("no new privileges");
}

static void read_all(void *into, size_t length) {
  for (size_t have = 0; have < length;) {
    const ssize_t got = read(CHANNEL_FD, (char *)into + have, length - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) _exit(125); // the agent has given it up
    have += (size_t)got;
  }
}

/** Reads the function's own variables: a length of four bytes, little end first, then NAME=VALUE, each with a zero byte after it. */
static void read_variables(void) {
  unsigned char head[4];
  read_all(head, sizeof head);
  const uint32_t length = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
  errno = E2BIG;
  if (length > MAX_VARIABLES_BYTES) give_up("variables");
  char *text = malloc(length + 1);
  if (!text) give_up("variables");
  read_all(text, length);
  text[length] = 0;
  for (char *each = text; each < text + length; each += strlen(each) + 1)
    if (!strchr(each, '=') || each[0] == '=' || putenv(each) != 0) give_up("variables");
}

static void reset_signals(void) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void join_cgroups(const struct plan *plan, const struct host *host) {
  for (int at = 0; at < plan->cgroup_count; at++)
    if (write(host->procs_fds[at], "0", 1) != 1) give_up("cgroup");
}

/** Nothing of the launcher's is open in the function. */
static void close_others(int keeps_channel) {
  const int first = keeps_channel ? CHANNEL_FD + 1 : CHANNEL_FD;
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */) == 0) return;
#endif
  for (int fd = first; fd < 4096; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void become_function(const struct plan *plan, const struct host *host, int report_fd) {
  report_to = report_fd;
  if (setsid() < 0) give_up("session");
  join_cgroups(plan, host);
  reset_signals();
  if (plan->is_handed && (plan->namespaces & CLONE_NEWUSER)) enter_user_namespace(plan->user_inside);
  umask(022);
  bound(RLIMIT_CORE, 0);
  bound(RLIMIT_NOFILE, plan->max_files);
  bound(RLIMIT_NPROC, plan->max_processes);
  bound(RLIMIT_SIGPENDING, plan->max_pending);
  bound(RLIMIT_MSGQUEUE, plan->max_queue_bytes);
  become_user(plan);
  // A change of user clears it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) give_up("parent death");
  if (plan->cwd && chdir(plan->cwd) != 0) give_up("its code folder");
  errno = 0;
  send_report(REPORT_READY, "");
  read_variables();
  if (plan->handed_count > 0 && hand_descriptors(plan->handed_fds, plan->handed_count) != 0) give_up("descriptors");
  close_others(plan->keeps_channel);
  if (plan->has_filter && install_filter() != 0) give_up("filter");
  execve(plan->program[0], plan->program, environ);
  send_report(REPORT_EXEC, "exec");
  _exit(127);
}
