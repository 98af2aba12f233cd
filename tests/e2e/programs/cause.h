// SPDX-License-Identifier: Apache-2.0
// picket-cause: does one thing to the kernel, exactly, and says what it did.
//
// picket-cause ACT [ARGUMENT]...
//
// Every act prints one JSON object a line on stdout: what, pid, tid, ret,
// errno (0 if none), and what is particular to it. In the environment:
//   CAUSE_GATE=1     wait for a byte on stdin before acting
//   CAUSE_LINGER=1   after acting, stay until stdin ends
//   CAUSE_THREAD=1   act in a second thread
//   CAUSE_UID=UID    become this user first
//   CAUSE_WORKERS=N storms: this many executions at once (2)
//   CAUSE_PAUSE=US   storms: that many microseconds between two executions
//   CAUSE_SQPOLL=1   io_uring acts: the kernel's own thread submits
//   CAUSE_PATIENCE=S DNS: how many seconds an answer is waited for
#pragma once

#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

struct act {
	const char *name;
	const char *usage;
	int least; // arguments it needs
	int (*run)(int argc, char **argv);
};

// One table a subject, each ending in an entry without a name.
extern const struct act exec_acts[], net_acts[], dns_acts[], file_acts[], uring_acts[];
extern const struct act image_acts[], socket_acts[], packet_acts[], name_acts[], ring_acts[],
	old_acts[], storm_acts[];

extern char **environ;

// Prints the line. `ret` below 0 means failure, and errno tells why. `format`
// adds members: ", \"port\": %d".
__attribute__((format(printf, 3, 4))) void say(const char *what, long ret, const char *format, ...);

// Ends the program with a message: the act could not even be tried.
__attribute__((noreturn)) void fail(const char *why);

// A socket address from text; IPv6 (v4-mapped as well) if it has a colon.
socklen_t address(const char *ip, const char *port, struct sockaddr_storage *to);

// The port a socket is bound to.
int local_port(int fd);

// Flags of open(2) from letters: r, w, c(reate), t(runcate), e(xclusive).
int open_flags(const char *letters);

// A folder's descriptor, and in `name` the path's last part.
int parent_fd(const char *path, const char **name);

// A DNS query for one name; how many bytes it is long. `to` holds DNS_LONGEST.
enum { DNS_LONGEST = 512 };
size_t dns_question(const char *name, int type, unsigned char *to);

// The status of a child that has ended, as a shell tells it.
int status_of(pid_t child);
