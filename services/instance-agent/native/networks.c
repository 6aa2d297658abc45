// `--networks [user]`: makes networks for functions and works in them, at the agent's word alone. README.md describes its messages.
// A process of its own, because work in another network is for a thread that can be spared: the kernel may take milliseconds for a device.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

/** Descriptors that the agent hands over: requests and their answers, and the descriptors that belong to answers. */
enum { REQUESTS_FD = 3, DESCRIPTORS_FD = 4 };
enum { MAKE = 1, SOCKET = 2, NETLINK = 3, RELEASE = 4 };
#define MAX_BODY (64 * 1024)
#define NET_BIND_SERVICE 10
#define NET_ADMIN 12
#define SYS_ADMIN 21

struct request {
  uint32_t length;
  uint32_t what;
  /** A descriptor of this process that names a network; 0 for the one it is at home in, which is the agent's unless it is of a user namespace. */
  uint32_t space;
  uint32_t argument;
};

struct answer {
  uint32_t length;
  /** Of what was done; or the kernel's reason why not, negative. */
  int32_t result;
};

static int home = -1, is_away;
static char body[MAX_BODY], said[MAX_BODY];

static void read_whole(void *into, size_t length) {
  for (size_t have = 0; have < length;) {
    const ssize_t got = read(REQUESTS_FD, (char *)into + have, length - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) exit(0); // the agent has gone
    have += (size_t)got;
  }
}

static void write_whole(const void *from, size_t length) {
  for (size_t done = 0; done < length;) {
    const ssize_t put = send(REQUESTS_FD, (const char *)from + done, length - done, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) exit(0);
    done += (size_t)put;
  }
}

static void reply(int result, size_t length) {
  const struct answer answer = {.length = (uint32_t)length, .result = result};
  write_whole(&answer, sizeof answer);
  write_whole(said, length);
}

/** Before the answer that it belongs to, so that it is there when that is read. */
static int hand_over(int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return sendmsg(DESCRIPTORS_FD, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int go_to(uint32_t space) {
  if (space == 0) return 0;
  if (setns((int)space, CLONE_NEWNET) != 0) return -errno;
  is_away = 1;
  return 0;
}

/** A network lives as long as anybody is in it. */
static void go_home(void) {
  if (is_away && setns(home, CLONE_NEWNET) != 0) exit(1);
  is_away = 0;
}

static int make(void) {
  if (unshare(CLONE_NEWNET) != 0) return -errno;
  is_away = 1;
  const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  const int handed = hand_over(fd);
  if (handed == 0) return fd;
  close(fd);
  return handed;
}

static int open_socket(uint32_t space, int type, const void *address, size_t length) {
  const int gone = go_to(space);
  if (gone != 0) return gone;
  const int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  // Connections of a server before may not be over yet.
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  const int result = length > 0 && bind(fd, address, (socklen_t)length) != 0 ? -errno : hand_over(fd);
  close(fd);
  return result;
}

/** The kernel does what it is asked before `send` returns: all that it has to say is there then. */
static int ask_kernel(uint32_t space, int protocol, size_t length, size_t *answered) {
  const int gone = go_to(space);
  if (gone != 0) return gone;
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -errno;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int result = sendto(fd, body, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0 ? -errno : 0;
  while (result == 0 && *answered < sizeof said) {
    const ssize_t got = recv(fd, said + *answered, sizeof said - *answered, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    *answered += (size_t)got;
  }
  close(fd);
  return result;
}

static void serve(const struct request *request) {
  size_t answered = 0;
  int result = -EINVAL;
  if (request->what == MAKE) result = make();
  else if (request->what == SOCKET) result = open_socket(request->space, (int)request->argument, body, request->length);
  else if (request->what == NETLINK) result = ask_kernel(request->space, (int)request->argument, request->length, &answered);
  else if (request->what == RELEASE && request->space > DESCRIPTORS_FD) result = close((int)request->space) == 0 ? 0 : -errno;
  go_home();
  reply(result, answered);
}

static int open_own_network(void) {
  const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("open", "/proc/self/ns/net");
  return fd;
}

/** What it takes to make networks, and nothing else that root may. */
static void keep_few_rights(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct rights[2];
  const uint32_t kept = 1U << NET_BIND_SERVICE | 1U << NET_ADMIN | 1U << SYS_ADMIN;
  if (syscall(SYS_capget, &header, rights) != 0) fail("rights", "");
  rights[0].effective = rights[0].permitted &= kept;
  rights[1].effective = rights[1].permitted = 0;
  rights[0].inheritable = rights[1].inheritable = 0;
  if (syscall(SYS_capset, &header, rights) != 0) fail("rights", "");
}

void serve_networks(int is_user) {
  struct request request;
  is_quiet = 1;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail("prctl", "");
  if (is_user) {
    // Root gets into networks of a namespace below its own without being in that, and needs no ids in it.
    if (geteuid() != 0) enter_user_namespace(-1);
    else if (unshare(CLONE_NEWUSER) != 0) fail("namespace", "user");
    const int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || hand_over(fd) != 0) fail("namespace", "user");
    close(fd);
    // A change of rights has cleared it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail("prctl", "");
    // The agent's own network is out of reach from here on.
    if (unshare(CLONE_NEWNET) != 0) fail("namespace", "network");
  }
  home = open_own_network();
  keep_few_rights();
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  reply(0, 0);
  for (;;) {
    read_whole(&request, sizeof request);
    if (request.length > sizeof body) exit(1);
    read_whole(body, request.length);
    serve(&request);
  }
}

/** Moves this process into a network, by descriptors that it was started with. -1 for the user namespace where it is the agent's. */
void enter_network(int network_fd, int user_fd) {
  if (user_fd >= 0 && setns(user_fd, CLONE_NEWUSER) != 0) fail("namespace", "user");
  if (setns(network_fd, CLONE_NEWNET) != 0) fail("namespace", "network");
  close(network_fd);
  if (user_fd >= 0) close(user_fd);
}
