// SPDX-License-Identifier: Apache-2.0
// io_uring: more of what it can do without a system call of its own.
#include "cause.h"
#include "uring.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <netinet/in.h>

// linux/io_uring.h of Linux 6.11
enum { OP_BIND = 56, OP_LISTEN = 57, MODE = 0640 };

static int udp(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

// UDP, not connected: `send` gives the address in the request, `sendmsg` in the
// message.
static int act_send(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[1], argv[2], &to);
	struct iovec part = { .iov_base = argv[3], .iov_len = strlen(argv[3]) };
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1
	};
	struct io_uring_sqe request = { .opcode = IORING_OP_SENDMSG,
					.fd = udp(to.ss_family),
					.addr = (uintptr_t)&message,
					.len = 1 };

	if (!strcmp(argv[0], "send")) {
		request.opcode = IORING_OP_SEND;
		request.addr = (uintptr_t)part.iov_base;
		request.len = part.iov_len;
		request.addr2 = (uintptr_t)&to;
		request.addr_len = length;
	}
	say("uring-send", uring_submit(&request), "");
	return 0;
}

// TCP: sendmsg with MSG_FASTOPEN.
static int act_fast_open(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[0], argv[1], &to);
	struct iovec part = { .iov_base = argv[2], .iov_len = strlen(argv[2]) };
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1
	};
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct io_uring_sqe request = { .opcode = IORING_OP_SENDMSG,
					.fd = fd,
					.addr = (uintptr_t)&message,
					.len = 1,
					.msg_flags = MSG_FASTOPEN };

	say("uring-fast-open", uring_submit(&request), "");
	return 0;
}

// tcp: bind and listen; udp: bind.
static int act_bind(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage at;
	socklen_t length = address(argv[1], argv[2], &at);
	bool tcp = !strcmp(argv[0], "tcp");
	int fd = tcp ? socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : udp(at.ss_family);
	struct io_uring_sqe binds = {
		.opcode = OP_BIND, .fd = fd, .addr = (uintptr_t)&at, .addr2 = length
	};
	struct io_uring_sqe listens = { .opcode = OP_LISTEN, .fd = fd, .len = 5 };
	int ret = uring_submit(&binds);

	if (!ret && tcp)
		ret = uring_submit(&listens);
	say("uring-bind", ret, ", \"port\": %d", local_port(fd));
	return 0;
}

static int act_openat2(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name), flags = open_flags(argv[1]);
	struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? MODE : 0 };
	struct io_uring_sqe request = { .opcode = IORING_OP_OPENAT2,
					.fd = folder,
					.addr = (uintptr_t)name,
					.len = sizeof(how),
					.off = (uintptr_t)&how };

	say("uring-openat2", uring_submit(&request), "");
	return 0;
}

static int act_linkat(int argc, char **argv)
{
	(void)argc;
	struct io_uring_sqe request = { .opcode = IORING_OP_LINKAT,
					.fd = AT_FDCWD,
					.addr = (uintptr_t)argv[0],
					.len = AT_FDCWD,
					.off = (uintptr_t)argv[1] };

	say("uring-linkat", uring_submit(&request), "");
	return 0;
}

const struct act ring_acts[] = {
	{ "uring-send", "send|sendmsg IP PORT TEXT: UDP, not connected", 4, act_send },
	{ "uring-fast-open", "IP PORT TEXT: TCP", 3, act_fast_open },
	{ "uring-bind", "tcp|udp IP PORT: bind, and listen", 3, act_bind },
	{ "uring-openat2", "PATH FLAGS", 2, act_openat2 },
	{ "uring-linkat", "FROM TO", 2, act_linkat },
	{ 0 },
};
