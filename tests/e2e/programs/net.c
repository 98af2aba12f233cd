// SPDX-License-Identifier: Apache-2.0
// Sockets: connections, datagrams, listeners.
#include "cause.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

static int make_socket(const char *protocol, const char *ip, int flags)
{
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	int type = !strcmp(protocol, "udp") ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(family, type | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static int act_connect(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t length = address(argv[1], argv[2], &to);
	bool nonblock = argc > 3 && !strcmp(argv[3], "nonblock");
	int fd = make_socket(argv[0], argv[1], nonblock ? SOCK_NONBLOCK : 0);
	int ret = connect(fd, (void *)&to, length);

	say("connect", ret, ", \"port\": %d", ret && errno != EINPROGRESS ? 0 : local_port(fd));
	if (nonblock && ret < 0 && errno == EINPROGRESS) {
		struct pollfd wait = { .fd = fd, .events = POLLOUT };
		int error = ETIMEDOUT;
		socklen_t size = sizeof(error);

		if (poll(&wait, 1, 5000) == 1)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
		errno = error;
		say("connected", error ? -1 : 0, "");
	}
	return 0;
}

static int act_send(int argc, char **argv)
{
	(void)argc;
	const char *how = argv[0], *text = argv[3];
	struct sockaddr_storage to;
	socklen_t length = address(argv[1], argv[2], &to);
	struct iovec part = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &to,
						.msg_namelen = length,
						.msg_iov = &part,
						.msg_iovlen = 1 } };
	int fd = make_socket("udp", argv[1], 0);
	ssize_t ret;

	if (!strcmp(how, "sendto"))
		ret = sendto(fd, text, strlen(text), 0, (void *)&to, length);
	else if (!strcmp(how, "sendmsg"))
		ret = sendmsg(fd, &message.msg_hdr, 0);
	else if (!strcmp(how, "sendmmsg"))
		ret = sendmmsg(fd, &message, 1, 0);
	else
		fail(how);
	say("send", ret, ", \"port\": %d", local_port(fd));
	return 0;
}

static int act_listen(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage at;
	socklen_t length = address(argv[0], argv[1], &at);
	int fd = make_socket("tcp", argv[0], 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	int ret = bind(fd, (void *)&at, length);

	if (!ret)
		ret = listen(fd, 5);
	say("listen", ret, ", \"port\": %d", local_port(fd));
	return 0;
}

static int act_listen_unbound(int argc, char **argv)
{
	(void)argc;
	int fd = make_socket("tcp", !strcmp(argv[0], "6") ? "::" : "0.0.0.0", 0);
	int ret = listen(fd, 5);

	say("listen-unbound", ret, ", \"port\": %d", local_port(fd));
	return 0;
}

static int act_bind(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage at;
	socklen_t length = address(argv[1], argv[2], &at);
	int fd = make_socket(argv[0], argv[1], 0);
	int ret = bind(fd, (void *)&at, length);

	say("bind", ret, ", \"port\": %d", local_port(fd));
	return 0;
}

const struct act net_acts[] = {
	{ "connect", "tcp|udp IP PORT [nonblock]", 3, act_connect },
	{ "send", "sendto|sendmsg|sendmmsg IP PORT TEXT: UDP, not connected", 4, act_send },
	{ "listen", "IP PORT: TCP, bound", 2, act_listen },
	{ "listen-unbound", "4|6: TCP, without bind", 1, act_listen_unbound },
	{ "bind", "udp|tcp IP PORT", 3, act_bind },
	{ 0 },
};
