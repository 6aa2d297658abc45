// Shared by the parts of evenfall-launch. The command line and the messages are described in README.md.
#ifndef EVENFALL_LAUNCH_H
#define EVENFALL_LAUNCH_H

#include <sys/types.h>

#define MAX_CGROUPS 4
#define MAX_HANDED 2

/** Descriptors that the agent hands over. */
enum { CHANNEL_FD = 3, CONTROL_FD = 4 };

/** What is asked on the command line. */
struct plan {
  /** Folders of cgroups that the function's process joins before anything else. */
  const char *cgroups[MAX_CGROUPS];
  int cgroup_count;
  /** CLONE_NEW… flags. */
  int namespaces;
  /** Mount steps: arguments from here, executed in their order. */
  char **steps;
  int step_count;
  /** Folder of all packages; a package is mounted from it on request. NULL without. */
  const char *code_root;
  /** Where it is seen by the function. */
  const char *cwd;
  /** What the caller's user is called in a user namespace that is made; -1 for what it is called outside. */
  long user_inside;
  /** The function's own user and group; -1 to stay what this process is. */
  long uid;
  long max_files;
  long max_processes;
  /** Signals that wait, and bytes of message queues: what the kernel counts for a user. -1 for what there is. */
  long max_pending;
  long max_queue_bytes;
  /** The same of inotify, set in the user namespace that is made. */
  long max_inotify;
  long max_inotify_watches;
  /** Descriptors that it watches by epoll: with more it is ended. -1 without a count. */
  long max_watches;
  int has_filter;
  int keeps_channel;
  /** Mounts a proc file system of the new PID namespace. */
  int mounts_proc;
  /** Leaves nothing of it covered: a sandbox that makes namespaces below this one may only mount what it can see all of. */
  int bares_proc;
  /** This process is the init of a PID namespace that another program made. */
  int is_init;
  /** Its descriptors come by a message at its standard input, and it sends signals for the agent, which cannot see into its sandbox. */
  int is_handed;
  /** Descriptors that the program gets by a message at its standard input, as a sandbox that passes on no others wants it. */
  int handed_fds[MAX_HANDED];
  int handed_count;
  /** Ends with the program and exits as it did; without messages. */
  int is_once;
  pid_t parent;
  /** The network to be in, by a descriptor; -1 to stay in the one it was born in. */
  int network_fd;
  /** The user namespace that network is of, where an ordinary user has made it; -1 if it is this process's own. */
  int network_owner_fd;
  char **program;
};

/** Opened while the host's files are in sight. */
struct host {
  int proc_fd;
  /** The PID namespace of this process; -1 where none is made. */
  int pid_space_fd;
  int procs_fds[MAX_CGROUPS];
  int kill_fds[MAX_CGROUPS];
};

/** The processes of one function. */
struct family {
  /** Init of the PID namespace; 0 without one. */
  pid_t init;
  pid_t leader;
  int is_leader_over;
  int is_leader_reaped;
  /** Whether the agent knows if processes of its group outlive it, and that none of them is left. */
  int is_group_reported;
  int is_group_over;
  int status;
};

/** Reports what failed and why, to the agent or on stderr, and exits. */
_Noreturn void fail(const char *what, const char *on);
/** Sends one line to the agent; without a listener the line is lost. */
void send_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** mounts.c */
void run_mount_steps(char **steps, int count);
int arity_of(const char *step);
void mount_proc(int is_bare);
int mount_package(const char *root, const char *name);

/** leader.c: becomes the function. `report_fd` is closed by a successful exec. */
_Noreturn void become_function(const struct plan *plan, const struct host *host, int report_fd);
void drop_capabilities(void);

/** inside.c: what passes between a launcher and the init that it starts within a sandbox, and what that init does there for the agent. */
int hand_descriptors(const int *fds, int count);
void receive_descriptors(void);
void send_signal(const struct family *family, const char *words);
void send_others(const struct family *family);
void look_at_group(struct family *family);
/** Becomes a user that the function is not, with the right to signal and no other. */
void become_guard(void);

/** filter.c */
int install_filter(void);

/** watch.c */
_Noreturn void watch(const struct plan *plan, const struct host *host, struct family *family, int report_fd);

/** user.c: kills every process of a user and looks again until none is left; returns how many there were, if that is to be counted; -1 if some stay. */
int end_user(const struct host *host, uid_t uid, int counts);
/** Makes this process one of that user and nothing else; 0 if it is, for certain. */
int become(uid_t uid);

/** claims.c */
_Noreturn void hold(const char *path, const char *first, const char *count);
_Noreturn void hold_user(const char *uid);

/** launch.c: a number of the command line, or the end of this process. */
long number_of(const char *text);

/** networks.c */
_Noreturn void serve_networks(int is_user);
void enter_network(int network_fd, int user_fd);
/** launch.c: a user without rights has them in a namespace of its own, and is the same user in it, or another one. */
void enter_user_namespace(long inside);

/** watches.c: whether the processes in /proc, but for the first, watch more descriptors by epoll. */
int watches_too_many(long most);

/** leftovers.c */
void remove_leftovers(uid_t uid);

/** What a leader reports: how far it is, or which step failed. */
struct report {
  char kind;
  int error;
  char step[24];
};
enum { REPORT_READY = 'r', REPORT_FAULT = 'f', REPORT_EXEC = 'x' };

extern int is_quiet;
#endif
