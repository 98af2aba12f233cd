// SPDX-License-Identifier: Apache-2.0
// Ways to connect, to send and to ask for a name that few programs use.
#include "cause.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static int stream(int family, int protocol)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	if (fd < 0 && (errno == EPROTONOSUPPORT || errno == EINVAL))
		return -1; // this kernel has no such protocol
	if (fd < 0)
		fail("socket");
	return fd;
}

// `text:WORDS`, or `dns:NAME` with its length before it, as TCP wants it.
static size_t message(const char *what, unsigned char *to)
{
	size_t length;

	if (!strncmp(what, "dns:", 4)) {
		length = dns_question(what + 4, 1, to + 2);
		to[0] = length >> 8;
		to[1] = length;
		return length + 2;
	}
	what += strncmp(what, "text:", 5) ? 0 : 5;
	length = strlen(what);
	if (length > DNS_LONGEST)
		fail("text too long");
	memcpy(to, what, length);
	return length;
}

// TCP that carries data from its first packet, or makes as if.
static int act_fast_open(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[1], argv[2], &to);
	unsigned char bytes[DNS_LONGEST + 2];
	size_t size = message(argv[3], bytes);
	int fd = stream(to.ss_family, 0), yes = 1;
	ssize_t ret;

	if (!strcmp(argv[0], "sendto")) {
		ret = sendto(fd, bytes, size, MSG_FASTOPEN, (void *)&to, length);
	} else {
		if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof(yes)))
			fail("TCP_FASTOPEN_CONNECT");
		ret = connect(fd, (void *)&to, length);
		if (!ret)
			ret = write(fd, bytes, size);
	}
	say("fast-open", ret, "");
	return 0;
}

static int act_mptcp(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[0], argv[1], &to);
	int fd = stream(to.ss_family, IPPROTO_MPTCP);

	say("mptcp", fd < 0 ? fd : connect(fd, (void *)&to, length), "");
	return 0;
}

static int act_mptcp_listen(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage at;
	socklen_t length = address(argv[0], argv[1], &at);
	int fd = stream(at.ss_family, IPPROTO_MPTCP);
	int ret = fd < 0 ? fd : bind(fd, (void *)&at, length);

	if (!ret)
		ret = listen(fd, 5);
	say("mptcp-listen", ret, ", \"port\": %d", fd < 0 ? 0 : local_port(fd));
	return 0;
}

// UDP: connects, and sends without an address.
static int act_send_connected(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[1], argv[2], &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t ret = connect(fd, (void *)&to, length);

	if (!ret && !strcmp(argv[0], "write"))
		ret = write(fd, argv[3], strlen(argv[3]));
	else if (!ret)
		ret = send(fd, argv[3], strlen(argv[3]), 0);
	say("send-connected", ret, "");
	return 0;
}

// UDP: two questions of the same length in one call, cut apart by the kernel. The
// first is for a name that nobody minds.
static int act_dns_segments(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[0], argv[1], &to);
	unsigned char both[2 * DNS_LONGEST];
	char harmless[256];
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), size;

	snprintf(harmless, sizeof(harmless), "%s", argv[2]);
	memset(harmless, 'x', strcspn(harmless, "."));
	size = dns_question(harmless, 1, both);
	dns_question(argv[2], 1, both + size);
	ssize_t ret = setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));

	if (!ret)
		ret = sendto(fd, both, 2 * size, 0, (void *)&to, length);
	say("dns-segments", ret, "");
	return 0;
}

static ssize_t by_bytes(int fd, const unsigned char *bytes, size_t size)
{
	for (size_t at = 0; at < size; at++)
		if (write(fd, bytes + at, 1) != 1)
			return -1;
	return size;
}

static ssize_t by_sendfile(int fd, const unsigned char *bytes, size_t size)
{
	int file = memfd_create("question", MFD_CLOEXEC);

	if (file < 0 || write(file, bytes, size) != (ssize_t)size || lseek(file, 0, SEEK_SET))
		fail("memfd");
	return sendfile(fd, file, NULL, size);
}

// TCP: the question in ways that a parser of packets may trip over. It waits for
// the other end to take it, or to give the connection up.
static int act_dns_stream(int argc, char **argv)
{
	(void)argc;
	const char *how = argv[0];
	struct sockaddr_storage to;
	socklen_t length = address(argv[1], argv[2], &to);
	unsigned char bytes[2 * (DNS_LONGEST + 2)];
	char text[300], harmless[256];
	struct timeval patience = { .tv_sec = 1 };
	int fd = stream(to.ss_family, 0), yes = 1;
	size_t size = 0;
	ssize_t ret = connect(fd, (void *)&to, length);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!strcmp(how, "second")) {
		snprintf(harmless, sizeof(harmless), "%s", argv[3]);
		memset(harmless, 'x', strcspn(harmless, "."));
		snprintf(text, sizeof(text), "dns:%s", harmless);
		size = message(text, bytes);
	}
	snprintf(text, sizeof(text), "dns:%s", argv[3]);
	size += message(text, bytes + size);
	if (!ret && !strcmp(how, "bytes"))
		ret = by_bytes(fd, bytes, size);
	else if (!ret && !strcmp(how, "sendfile"))
		ret = by_sendfile(fd, bytes, size);
	else if (!ret)
		ret = write(fd, bytes, size);
	if (ret > 0 && recv(fd, bytes, sizeof(bytes), 0) < 0)
		ret = -1;
	say("dns-stream", ret, "");
	return 0;
}

const struct act socket_acts[] = {
	{ "fast-open", "sendto|connect IP PORT text:TEXT|dns:NAME: TCP", 4, act_fast_open },
	{ "mptcp", "IP PORT: connect", 2, act_mptcp },
	{ "mptcp-listen", "IP PORT", 2, act_mptcp_listen },
	{ "send-connected", "write|send IP PORT TEXT: UDP", 4, act_send_connected },
	{ "dns-segments", "IP PORT NAME: UDP, with UDP_SEGMENT", 3, act_dns_segments },
	{ "dns-stream", "bytes|sendfile|second IP PORT NAME: TCP", 4, act_dns_stream },
	{ 0 },
};
