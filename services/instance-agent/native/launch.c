// evenfall-launch: starts one function in isolation, and ends it with everything it left. README.md describes its command line and its messages.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

int is_quiet;

void send_line(const char *format, ...) {
  char line[512];
  va_list values;
  if (is_quiet) return;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line - 1, format, values);
  va_end(values);
  if (length > (int)sizeof line - 2) length = sizeof line - 2;
  line[length++] = '\n';
  if (send(CONTROL_FD, line, (size_t)length, MSG_NOSIGNAL) < 0) return; // the agent has gone, and this process goes with it
}

void fail(const char *what, const char *on) {
  const char *reason = strerror(errno);
  if (is_quiet) dprintf(STDERR_FILENO, "evenfall-launch: %s %s: %s\n", what, on, reason);
  else send_line("fault %s %s: %s", what, on, reason);
  exit(125);
}

static _Noreturn void misuse(const char *option) {
  dprintf(STDERR_FILENO, "evenfall-launch: \"%s\" is no option, or lacks its value; README.md lists them\n", option);
  exit(124);
}

static int namespaces_of(const char *list) {
  static const struct {
    const char *name;
    int flag;
  } KINDS[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}};
  int flags = 0;
  char *copy = strdup(list), *rest = copy;
  for (const char *name; copy && (name = strsep(&rest, ","));) {
    int flag = 0;
    for (size_t at = 0; at < sizeof KINDS / sizeof *KINDS; at++)
      if (strcmp(KINDS[at].name, name) == 0) flag = KINDS[at].flag;
    if (!flag) misuse(name);
    flags |= flag;
  }
  free(copy);
  return flags;
}

long number_of(const char *text) {
  char *end;
  const long number = strtol(text, &end, 10);
  if (end == text || *end || number < 0) misuse(text);
  return number;
}

static int read_switch(struct plan *plan, const char *name) {
  if (strcmp(name, "--filter") == 0) return plan->has_filter = 1;
  if (strcmp(name, "--keep-channel") == 0) return plan->keeps_channel = 1;
  if (strcmp(name, "--proc") == 0) return plan->mounts_proc = 1;
  if (strcmp(name, "--bare-proc") == 0) return plan->mounts_proc = plan->bares_proc = 1;
  if (strcmp(name, "--init") == 0) return plan->is_init = 1;
  if (strcmp(name, "--handed") == 0) return plan->is_handed = 1;
  if (strcmp(name, "--once") == 0) return plan->is_once = 1;
  return 0;
}

static int read_value(struct plan *plan, const char *name, const char *value) {
  if (strcmp(name, "--cgroup") == 0) {
    if (plan->cgroup_count == MAX_CGROUPS) misuse(name);
    plan->cgroups[plan->cgroup_count++] = value;
  } else if (strcmp(name, "--hand-on") == 0) {
    if (plan->handed_count == MAX_HANDED) misuse(name);
    plan->handed_fds[plan->handed_count++] = (int)number_of(value);
  } else if (strcmp(name, "--namespaces") == 0) plan->namespaces = namespaces_of(value);
  else if (strcmp(name, "--code-root") == 0) plan->code_root = value;
  else if (strcmp(name, "--cwd") == 0) plan->cwd = value;
  else if (strcmp(name, "--user") == 0) plan->uid = number_of(value);
  else if (strcmp(name, "--user-inside") == 0) plan->user_inside = number_of(value);
  else if (strcmp(name, "--max-files") == 0) plan->max_files = number_of(value);
  else if (strcmp(name, "--max-processes") == 0) plan->max_processes = number_of(value);
  else if (strcmp(name, "--max-pending") == 0) plan->max_pending = number_of(value);
  else if (strcmp(name, "--max-queue-bytes") == 0) plan->max_queue_bytes = number_of(value);
  else if (strcmp(name, "--max-inotify") == 0) plan->max_inotify = number_of(value);
  else if (strcmp(name, "--max-inotify-watches") == 0) plan->max_inotify_watches = number_of(value);
  else if (strcmp(name, "--max-watches") == 0) plan->max_watches = number_of(value);
  else if (strcmp(name, "--parent") == 0) plan->parent = (pid_t)number_of(value);
  else if (strcmp(name, "--network") == 0) plan->network_fd = (int)number_of(value);
  else if (strcmp(name, "--network-owner") == 0) plan->network_owner_fd = (int)number_of(value);
  else return 0;
  return 1;
}

static void read_command_line(struct plan *plan, int count, char **words) {
  int at = 1;
  for (; at < count && strcmp(words[at], "--") != 0; at++) {
    const int arity = arity_of(words[at]);
    if (arity >= 0) {
      // Steps stand together: one list, executed in its order.
      if (plan->step_count == 0) plan->steps = words + at;
      else if (plan->steps + plan->step_count != words + at) misuse(words[at]);
      if (at + arity >= count) misuse(words[at]);
      plan->step_count += 1 + arity;
      at += arity;
    } else if (!read_switch(plan, words[at])) {
      if (at + 1 >= count || !read_value(plan, words[at], words[at + 1])) misuse(words[at]);
      at++;
    }
  }
  if (at + 1 >= count) misuse("--");
  plan->program = words + at + 1;
}

static void open_host(const struct plan *plan, struct host *host) {
  host->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (host->proc_fd < 0) fail("open", "/proc");
  host->pid_space_fd = plan->namespaces & CLONE_NEWPID ? openat(host->proc_fd, "self/ns/pid", O_RDONLY | O_CLOEXEC) : -1;
  for (int at = 0; at < plan->cgroup_count; at++) {
    char path[4200];
    snprintf(path, sizeof path, "%s/cgroup.procs", plan->cgroups[at]);
    host->procs_fds[at] = open(path, O_WRONLY | O_CLOEXEC);
    if (host->procs_fds[at] < 0) fail("cgroup", path);
    snprintf(path, sizeof path, "%s/cgroup.kill", plan->cgroups[at]);
    host->kill_fds[at] = open(path, O_WRONLY | O_CLOEXEC); // version 2 alone has it
  }
}

static void write_text(const char *path, const char *text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail("map", path);
  close(fd);
}

/** A user without rights has them in a namespace of its own, and is the same user in it, unless it is to be another one (-1 for none). */
void enter_user_namespace(long inside) {
  char map[64];
  const unsigned uid = geteuid(), gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) fail("namespace", "user");
  // A kernel without it, as gVisor's, does not ask for it either.
  if (access("/proc/self/setgroups", F_OK) == 0) write_text("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "%u %u 1", inside < 0 ? uid : (unsigned)inside, uid);
  write_text("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "%u %u 1", inside < 0 ? gid : (unsigned)inside, gid);
  write_text("/proc/self/gid_map", map);
}

/** Of the user namespace of this process alone, in which the kernel holds its users to it; a kernel that has no such file has no such namespaces either. */
static void bound_users(const char *what, long most) {
  char path[64], number[24];
  if (most < 0) return;
  snprintf(path, sizeof path, "/proc/sys/user/%s", what);
  snprintf(number, sizeof number, "%ld", most);
  write_text(path, number);
}

static void raise_loopback(void) {
  struct ifreq request = {.ifr_flags = IFF_UP};
  strcpy(request.ifr_name, "lo");
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) fail("network", "loopback");
  close(fd);
}

static void enter_namespaces(const struct plan *plan) {
  if (plan->network_fd >= 0) enter_network(plan->network_fd, plan->network_owner_fd);
  // Within a sandbox only the function has one: its init is to stay out of its reach.
  if ((plan->namespaces & CLONE_NEWUSER) && !plan->is_handed) enter_user_namespace(plan->user_inside);
  if (plan->namespaces & CLONE_NEWUSER) {
    bound_users("max_inotify_instances", plan->max_inotify);
    bound_users("max_inotify_watches", plan->max_inotify_watches);
  }
  const int now = plan->namespaces & ~(CLONE_NEWUSER | CLONE_NEWPID);
  if (now && unshare(now) != 0) fail("namespaces", "");
  if (plan->namespaces & CLONE_NEWNET) raise_loopback();
  if (plan->namespaces & CLONE_NEWNS) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("private", "/");
    // Stays in reach of this process whatever is laid over it.
    if (plan->code_root && chdir(plan->code_root) != 0) fail("folder", plan->code_root);
    run_mount_steps(plan->steps, plan->step_count);
  }
  // For the children; this process stays where it sees the whole host.
  if ((plan->namespaces & CLONE_NEWPID) && unshare(CLONE_NEWPID) != 0) fail("namespace", "pid");
}

/** The first process of the namespace: buries orphans, has no rights, and lives until it is killed. Signals from within do not reach it. */
static _Noreturn void be_init(const struct plan *plan, int ready_fd) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail("init", "parent death");
  setsid();
  if (plan->mounts_proc) mount_proc(plan->bares_proc);
  signal(SIGCHLD, SIG_IGN); // the kernel buries them
  drop_capabilities();
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (write(ready_fd, "1", 1) != 1) exit(125);
  for (int fd = 0; fd < 1024; fd++) close(fd);
  for (;;) pause();
}

static pid_t fork_init(const struct plan *plan) {
  int ready[2];
  char byte;
  if (pipe2(ready, O_CLOEXEC) != 0) fail("pipe", "init");
  const pid_t pid = fork();
  if (pid < 0) fail("fork", "init");
  if (pid == 0) be_init(plan, ready[1]);
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) exit(125); // it has said why
  close(ready[0]);
  send_line("init %d", (int)pid);
  return pid;
}

/** What the function writes to ends when the function does: no other process keeps it open. */
static void close_outputs(const struct plan *plan) {
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) fail("open", "/dev/null");
  for (int fd = 0; fd <= CHANNEL_FD; fd++)
    if (!(plan->is_once && fd == STDERR_FILENO)) dup2(nothing, fd);
  close(nothing);
  for (int at = 0; at < plan->handed_count; at++)
    if (plan->handed_fds[at] > CONTROL_FD) close(plan->handed_fds[at]);
}

/** Alone, after a function whose launcher has not lived to do it: `--end-user UID` answers how many processes that took, or fails. */
static _Noreturn void end_user_alone(const char *uid) {
  const struct host host = {.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .pid_space_fd = -1};
  const long number = number_of(uid);
  if (host.proc_fd < 0 || number == 0 || number > 0x7ffffffe) misuse("--end-user");
  const int count = end_user(&host, (uid_t)number, 1);
  if (count >= 0) remove_leftovers((uid_t)number);
  dprintf(STDOUT_FILENO, "%d\n", count);
  exit(count < 0);
}

/**
 * `--before-sandbox FD OWNER DIR PROGRAM …`: this process becomes a program in the network of a descriptor, with terminals of its own at a folder. OWNER
 * is the descriptor of the user namespace that the network is of; each of the three may be "none". `--in-network FD OWNER PROGRAM …` has no terminals.
 */
static _Noreturn void start_sandbox(const char *network, const char *owner, const char *terminals, char **program) {
  is_quiet = 1;
  if (strcmp(network, "none") != 0) enter_network((int)number_of(network), strcmp(owner, "none") == 0 ? -1 : (int)number_of(owner));
  if (strcmp(terminals, "none") != 0) {
    char *steps[] = {"--devpts", (char *)terminals}; // which no step writes to
    if (unshare(CLONE_NEWNS) != 0) fail("namespace", "mount");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("private", "/");
    run_mount_steps(steps, 2);
  }
  execv(program[0], program);
  fail("exec", program[0]);
}

/** All users of the host may read all command lines: after this, the command line contains only the name of the program. */
static char **hidden_copy(int count, char **words) {
  char **copy = calloc((size_t)count + 1, sizeof *copy);
  for (int at = 0; copy && at < count; at++) {
    copy[at] = strdup(words[at]);
    if (!copy[at]) fail("memory", "command line");
    if (at > 0) memset(words[at], 0, strlen(words[at]));
  }
  if (!copy) fail("memory", "command line");
  return copy;
}

int main(int count, char **words) {
  struct plan plan = {.uid = -1, .user_inside = -1, .max_files = -1, .max_processes = -1, .network_fd = -1, .network_owner_fd = -1};
  plan.max_pending = plan.max_queue_bytes = plan.max_inotify = plan.max_inotify_watches = plan.max_watches = -1;
  struct host host;
  struct family family = {0};
  int report[2];
  if (count == 3 && strcmp(words[1], "--end-user") == 0) end_user_alone(words[2]);
  if (count == 5 && strcmp(words[1], "--hold") == 0) hold(words[2], words[3], words[4]);
  if (count == 3 && strcmp(words[1], "--hold-user") == 0) hold_user(words[2]);
  if (count >= 2 && strcmp(words[1], "--networks") == 0) serve_networks(count == 3 && strcmp(words[2], "user") == 0);
  if (count > 4 && strcmp(words[1], "--in-network") == 0) start_sandbox(words[2], words[3], "none", words + 4);
  if (count > 5 && strcmp(words[1], "--before-sandbox") == 0) start_sandbox(words[2], words[3], words[4], words + 5);
  read_command_line(&plan, count, hidden_copy(count, words));
  is_quiet = plan.is_once;
  if (plan.is_handed) receive_descriptors();
  // With the agent goes the launcher, with the launcher goes init, with init goes everything.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || (plan.parent && getppid() != plan.parent)) exit(125);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  open_host(&plan, &host);
  enter_namespaces(&plan);
  // A new user namespace has cleared both.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("prctl", "");
  if (plan.namespaces & CLONE_NEWPID) family.init = fork_init(&plan);
  // No pipe: in a sandbox the function sees this process in /proc, where a pipe could be opened anew and written to, and a socket cannot.
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, report) != 0) fail("socket", "leader");
  family.leader = fork();
  if (family.leader < 0) fail("fork", "leader");
  if (family.leader == 0) become_function(&plan, &host, report[1]);
  close(report[1]);
  close_outputs(&plan);
  if (plan.is_handed) become_guard();
  watch(&plan, &host, &family, report[0]);
}
