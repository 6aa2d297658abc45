// The system calls a function may not make, as container engines refuse them by default.
// What is refused answers EPERM, as without rights; what programs try first and have another way for answers ENOSYS, as an older kernel does.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "no list of system calls for this processor"
#endif

// Later than the C library that this is built with.
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

/** Linux 6.13 ends with 466. Newer calls, and those of the x32 interface, have higher numbers and are unknown here. */
#define FIRST_UNKNOWN 467
/** CLONE_NEWTIME is missing in older headers. */
#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | 0x80)

static const int REFUSED[] = {
    // Mounts and quotas.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
    SYS_mount_setattr, SYS_quotactl, SYS_quotactl_fd, SYS_swapon, SYS_swapoff, SYS_fanotify_init, SYS_open_by_handle_at,
    // Namespaces; those that clone makes are looked at by its flags.
    SYS_unshare, SYS_setns,
    // The kernel itself.
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load, SYS_reboot, SYS_syslog, SYS_acct, SYS_bpf,
    SYS_perf_event_open, SYS_vhangup, SYS_lookup_dcookie, SYS_userfaultfd,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_create_module, SYS_get_kernel_syms, SYS_query_module, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_modify_ldt,
#endif
    // Clocks and names of the host.
    SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname, SYS_setdomainname,
    // Keys, which belong to no namespace, and where other processes have their memory.
    SYS_add_key, SYS_request_key, SYS_keyctl, SYS_kcmp, SYS_pidfd_getfd, SYS_migrate_pages, SYS_move_pages,
};

/**
 * clone3 has its flags in memory, where no filter can look; C libraries fall back to clone. io_setup takes of a number that all of the host share
 * (`fs.aio-max-nr`): one function could take it from every database.
 */
static const int UNKNOWN[] = {SYS_clone3, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_setup};

static const int FAMILIES[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
/** Puts bytes into a terminal's input, or pastes into a console. */
static const unsigned TERMINAL_INJECTION[] = {0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */};
/** PER_LINUX, PER_LINUX32, the same with UNAME26, and the question which one it is; as container engines allow. */
static const unsigned PERSONALITIES[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define MAX_LENGTH 512
static struct sock_filter code[MAX_LENGTH];
static unsigned short length;

static void add(unsigned short what, unsigned value, unsigned char on_true, unsigned char on_false) {
  if (length < MAX_LENGTH) code[length] = (struct sock_filter){what, on_true, on_false, value};
  length++;
}

static void load(unsigned offset) { add(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }
static void answer(unsigned value) { add(BPF_RET | BPF_K, value, 0, 0); }
static void answer_error(int error) { answer(SECCOMP_RET_ERRNO | (unsigned)error); }

/** The lower half of an argument, which both processors put first. */
static unsigned argument(int number) { return offsetof(struct seccomp_data, args) + 8 * number; }

static void refuse_number(int number, int error) {
  add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
  answer_error(error);
}

/** A call whose argument must be of a list, or must not. */
static void refuse_by_argument(int number, int at, const unsigned *values, unsigned count, int is_allowed_list) {
  // Loads the number again for what follows.
  const unsigned char past = (unsigned char)(is_allowed_list ? count + 4 : 2 * count + 3);
  load(offsetof(struct seccomp_data, nr));
  add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, past - 1);
  load(argument(at));
  for (unsigned each = 0; each < count; each++) {
    if (is_allowed_list) {
      add(BPF_JMP | BPF_JEQ | BPF_K, values[each], (unsigned char)(count - each), 0);
    } else {
      add(BPF_JMP | BPF_JEQ | BPF_K, values[each], 0, 1);
      answer_error(EPERM);
    }
  }
  if (is_allowed_list) answer_error(EPERM);
  answer(SECCOMP_RET_ALLOW);
}

static void build(void) {
  load(offsetof(struct seccomp_data, arch));
  add(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  answer_error(ENOSYS);
  load(offsetof(struct seccomp_data, nr));
  add(BPF_JMP | BPF_JGE | BPF_K, FIRST_UNKNOWN, 0, 1);
  answer_error(ENOSYS);
  for (size_t at = 0; at < COUNT(REFUSED); at++) refuse_number(REFUSED[at], EPERM);
  for (size_t at = 0; at < COUNT(UNKNOWN); at++) refuse_number(UNKNOWN[at], ENOSYS);
  add(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 7);
  load(argument(0));
  add(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1);
  answer_error(EPERM);
  // A thread with descriptors of its own, which no program makes: they would be out of sight of who counts those of its process.
  add(BPF_ALU | BPF_AND | BPF_K, CLONE_THREAD | CLONE_FILES, 0, 0);
  add(BPF_JMP | BPF_JEQ | BPF_K, CLONE_THREAD, 0, 1);
  answer_error(EPERM);
  answer(SECCOMP_RET_ALLOW);
  refuse_by_argument(SYS_socket, 0, (const unsigned *)FAMILIES, COUNT(FAMILIES), 1);
  // It loads the module of a family and makes sockets of it before it finds that they come in no pairs.
  refuse_by_argument(SYS_socketpair, 0, (const unsigned *)FAMILIES, COUNT(FAMILIES), 1);
  refuse_by_argument(SYS_ioctl, 1, TERMINAL_INJECTION, COUNT(TERMINAL_INJECTION), 0);
  refuse_by_argument(SYS_personality, 0, PERSONALITIES, COUNT(PERSONALITIES), 1);
  answer(SECCOMP_RET_ALLOW);
}

int install_filter(void) {
  build();
  if (length > MAX_LENGTH) {
    errno = E2BIG;
    return -1;
  }
  const struct sock_fprog program = {.len = length, .filter = code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
