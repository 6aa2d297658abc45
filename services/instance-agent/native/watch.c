// The launcher after the start: reports how the function ends, mounts packages for it, and ends everything that is left.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"

#define LOOK_MS 10
#define COUNT_MS 200
#define SOON_MS 50
#define LATE_MS 2000

/** Reads no status twice: the leader stays a zombie until the end, so that its number and its group's number belong to no other process. */
static void look_at_leader(const struct plan *plan, struct family *family) {
  siginfo_t info = {0};
  if (family->is_leader_over) return;
  // As an init it has to bury orphans, which cannot be done around a zombie that is kept.
  const int keep = plan->is_init ? 0 : WNOWAIT;
  if (waitid(P_PID, (id_t)family->leader, &info, WEXITED | WNOHANG | keep) != 0 || info.si_pid == 0) return;
  family->is_leader_over = 1;
  family->is_leader_reaped = plan->is_init;
  family->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  send_line(info.si_code == CLD_EXITED ? "exited %d" : "killed %d", info.si_status);
}

static void wait_for(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

/** Whether the leader ends within so many milliseconds and is reaped. A tracer gets its end first, and can withhold it from all others. */
static int is_leader_buried(const struct plan *plan, struct family *family, int within_ms) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  for (int left_ms = within_ms;; left_ms -= LOOK_MS) {
    look_at_leader(plan, family);
    if (family->is_leader_over || left_ms <= 0) break;
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    sigtimedwait(&mask, NULL, &pause);
  }
  if (family->is_leader_over && !family->is_leader_reaped) {
    wait_for(family->leader);
    family->is_leader_reaped = 1;
  }
  return family->is_leader_over;
}

/** Ends the namespace, the cgroups and the user, in this order, and reports what is left of them. */
static _Noreturn void end_all(const struct plan *plan, const struct host *host, struct family *family) {
  // The end of its init is the end of a namespace: the kernel kills all that is in it, and init is gone when they are.
  if (family->init) kill(family->init, SIGKILL);
  if (!family->is_leader_reaped) kill(family->leader, SIGKILL);
  for (int at = 0; at < plan->cgroup_count; at++)
    if (host->kill_fds[at] >= 0 && write(host->kill_fds[at], "1", 1) < 0) continue;
  const int may_end_user = plan->uid >= 0 && geteuid() == 0;
  int strays = 0;
  if (family->init) {
    // A tracer is in the namespace, and ends with it; the namespace is only empty once the leader is buried.
    while (!is_leader_buried(plan, family, LATE_MS)) continue;
    wait_for(family->init);
    if (may_end_user) strays = end_user(host, (uid_t)plan->uid, 0);
  } else {
    is_leader_buried(plan, family, SOON_MS);
    if (may_end_user) strays = end_user(host, (uid_t)plan->uid, 1);
    if (!is_leader_buried(plan, family, LATE_MS)) strays = -1;
  }
  if (strays >= 0 && plan->uid >= 0 && !(plan->namespaces & CLONE_NEWNS) && !plan->is_init && geteuid() == 0) remove_leftovers((uid_t)plan->uid);
  if (strays < 0) send_line("left");
  else send_line("gone %d", strays);
  exit(plan->is_once ? family->status : 0);
}

static void obey(const struct plan *plan, const struct host *host, struct family *family, const char *line) {
  if (strcmp(line, "end") == 0) end_all(plan, host, family);
  if (plan->is_handed && strncmp(line, "signal ", 7) == 0) send_signal(family, line + 7);
  if (plan->is_handed && strcmp(line, "others") == 0) send_others(family);
  if (strncmp(line, "show ", 5) == 0 && plan->code_root) send_line(mount_package(plan->code_root, line + 5) == 0 ? "shown" : "hidden");
}

/** The end of the control stream is the end of the agent: then the function is ended too. */
static void read_control(const struct plan *plan, const struct host *host, struct family *family) {
  static char line[256];
  static size_t length;
  char bytes[256];
  const ssize_t got = read(CONTROL_FD, bytes, sizeof bytes);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) end_all(plan, host, family);
  for (ssize_t at = 0; at < got; at++) {
    if (bytes[at] == '\n') {
      line[length] = 0;
      length = 0;
      obey(plan, host, family, line);
    } else if (length + 1 < sizeof line) {
      line[length++] = bytes[at];
    }
  }
}

/** Passes on all that the leader has reported; returns whether it may report more. */
static int read_reports(const struct plan *plan, const struct family *family, int report_fd) {
  struct report report;
  for (;;) {
    const ssize_t got = read(report_fd, &report, sizeof report);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return 1;
    if (got != sizeof report) return 0;
    report.step[sizeof report.step - 1] = 0;
    if (report.kind == REPORT_READY) send_line("started %d", (int)family->leader);
    else if (plan->is_once) dprintf(STDERR_FILENO, "evenfall-launch: %s: %s\n", report.step, strerror(report.error));
    else if (report.kind == REPORT_EXEC) send_line("fault %s: %s", plan->program[0], strerror(report.error));
    else send_line("fault %s: %s", report.step, strerror(report.error));
  }
}

static void bury_orphans(const struct family *family) {
  siginfo_t info;
  for (;;) {
    info.si_pid = 0;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 || info.si_pid == family->leader) return;
    waitpid(info.si_pid, NULL, WNOHANG);
  }
}

void watch(const struct plan *plan, const struct host *host, struct family *family, int report_fd) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  const int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) fail("signalfd", "");
  struct pollfd ports[] = {
      {.fd = plan->is_once ? -1 : CONTROL_FD, .events = POLLIN}, {.fd = report_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
  int has_exceeded = 0;
  fcntl(report_fd, F_SETFL, O_NONBLOCK);
  for (;;) {
    const int looks_again = plan->is_handed && family->is_leader_over && !family->is_group_over;
    const int counts = plan->max_watches >= 0 && !has_exceeded;
    if (poll(ports, 3, looks_again ? LOOK_MS : counts ? COUNT_MS : -1) < 0 && errno != EINTR) fail("poll", "");
    struct signalfd_siginfo drained;
    while (read(signal_fd, &drained, sizeof drained) > 0) continue;
    // What the leader reported comes before how it ended.
    if (ports[1].fd >= 0 && !read_reports(plan, family, report_fd)) ports[1].fd = -1;
    look_at_leader(plan, family);
    if (counts && watches_too_many(plan->max_watches)) {
      has_exceeded = 1;
      send_line("exceeded watches");
      kill(family->init, SIGKILL);
    }
    if (plan->is_init) bury_orphans(family);
    if (plan->is_handed) look_at_group(family);
    if (ports[0].revents) read_control(plan, host, family);
    if (family->is_leader_over && plan->is_once) end_all(plan, host, family);
  }
}
