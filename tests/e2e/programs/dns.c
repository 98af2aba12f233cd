// SPDX-License-Identifier: Apache-2.0
// A DNS client that can put its question on the wire in every usual way.
#include "cause.h"
#include "uring.h"

#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <sys/time.h>

enum { HEADER = 12, LONGEST = DNS_LONGEST, SECONDS = 5 };

// A query for one name; how many bytes it is long.
size_t dns_question(const char *name, int type, unsigned char *to)
{
	static const unsigned char header[HEADER] = { 0x50, 0x4b, 1, 0, 0, 1 };
	unsigned char *at = to + HEADER;

	if (strlen(name) > 253)
		fail("name too long");
	memcpy(to, header, HEADER);
	while (*name) {
		size_t length = strcspn(name, ".");

		if (!length || length > 63)
			fail("not a name");
		*at++ = length;
		memcpy(at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	const unsigned char tail[] = { 0, type >> 8, type & 255, 0, 1 };

	memcpy(at, tail, sizeof(tail));
	return at + sizeof(tail) - to;
}

static int open_socket(int family, int type)
{
	const char *seconds = getenv("CAUSE_PATIENCE");
	struct timeval patience = { .tv_sec = seconds ? atoi(seconds) : SECONDS };
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static ssize_t send_udp(int fd, const char *how, struct msghdr *message)
{
	struct iovec *part = message->msg_iov;

	if (!strcmp(how, "sendto"))
		return sendto(fd, part->iov_base, part->iov_len, 0, message->msg_name,
			      message->msg_namelen);
	if (!strcmp(how, "sendmsg"))
		return sendmsg(fd, message, 0);
	if (!strcmp(how, "uring")) {
		struct io_uring_sqe request = { .opcode = IORING_OP_SENDMSG,
						.fd = fd,
						.addr = (uintptr_t)message,
						.len = 1 };
		return uring_submit(&request);
	}
	if (!strcmp(how, "sendmmsg")) {
		// As resolvers do for A and AAAA: two datagrams in one call.
		struct mmsghdr both[2] = { { .msg_hdr = *message }, { .msg_hdr = *message } };
		unsigned char second[LONGEST];
		struct iovec other = { .iov_base = second, .iov_len = part->iov_len };

		memcpy(second, part->iov_base, part->iov_len);
		second[0] ^= 1;
		second[part->iov_len - 3] = 28;
		both[1].msg_hdr.msg_iov = &other;
		return sendmmsg(fd, both, 2, 0) == 2 ? (ssize_t)part->iov_len : -1;
	}
	if (connect(fd, message->msg_name, message->msg_namelen))
		return -1;
	if (!strcmp(how, "send"))
		return send(fd, part->iov_base, part->iov_len, 0);
	if (!strcmp(how, "write"))
		return write(fd, part->iov_base, part->iov_len);
	fail(how);
}

static ssize_t send_tcp(int fd, const char *how, struct msghdr *message)
{
	struct iovec *part = message->msg_iov;
	uint16_t prefix = htons(part->iov_len);
	unsigned char whole[LONGEST + 2];

	if (connect(fd, message->msg_name, message->msg_namelen))
		return -1;
	if (!strcmp(how, "tcp-split")) {
		if (write(fd, &prefix, 2) != 2)
			return -1;
		return write(fd, part->iov_base, part->iov_len);
	}
	memcpy(whole, &prefix, 2);
	memcpy(whole + 2, part->iov_base, part->iov_len);
	return write(fd, whole, part->iov_len + 2);
}

static int act_dns(int argc, char **argv)
{
	(void)argc;
	const char *how = argv[0];
	bool tcp = !strncmp(how, "tcp", 3);
	struct sockaddr_storage to;
	unsigned char query[LONGEST], answer[LONGEST];
	struct iovec part = { .iov_base = query,
			      .iov_len = dns_question(argv[3], atoi(argv[4]), query) };
	struct msghdr message = { .msg_name = &to,
				  .msg_namelen = address(argv[1], argv[2], &to),
				  .msg_iov = &part,
				  .msg_iovlen = 1 };
	int fd = open_socket(to.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM);
	ssize_t sent = tcp ? send_tcp(fd, how, &message) : send_udp(fd, how, &message);
	ssize_t got = sent < 0 ? -1 : recv(fd, answer, sizeof(answer), 0);

	say("dns", sent < 0 ? sent : got, ", \"sent\": %zd, \"answered\": %zd", sent, got);
	return 0;
}

const struct act dns_acts[] = {
	{ "dns", "sendto|sendmsg|sendmmsg|send|write|uring|tcp|tcp-split IP PORT NAME TYPE-NUMBER",
	  5, act_dns },
	{ 0 },
};
