// SPDX-License-Identifier: Apache-2.0
// io_uring: the same operations without a system call of their own.
#include "cause.h"
#include "uring.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>

enum { ENTRIES = 8, MODE = 0640 };

int uring_submit(const struct io_uring_sqe *request)
{
	bool polled = getenv("CAUSE_SQPOLL") != NULL;
	struct io_uring_params ring = { .flags = polled ? IORING_SETUP_SQPOLL : 0,
					.sq_thread_idle = 1000 };
	int fd = syscall(SYS_io_uring_setup, ENTRIES, &ring);

	if (fd < 0)
		fail("io_uring_setup");
	size_t sq_size = ring.sq_off.array + ring.sq_entries * sizeof(uint32_t);
	size_t cq_size = ring.cq_off.cqes + ring.cq_entries * sizeof(struct io_uring_cqe);
	int rights = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;
	char *sq = mmap(NULL, sq_size, rights, how, fd, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, cq_size, rights, how, fd, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqes = mmap(NULL, ring.sq_entries * sizeof(*sqes), rights, how, fd,
					 IORING_OFF_SQES);

	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		fail("mmap of the ring");
	sqes[0] = *request;
	((uint32_t *)(sq + ring.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(sq + ring.sq_off.tail), 1, __ATOMIC_RELEASE);

	int flags = IORING_ENTER_GETEVENTS;

	if (polled &&
	    (__atomic_load_n((uint32_t *)(sq + ring.sq_off.flags), __ATOMIC_SEQ_CST) &
	     IORING_SQ_NEED_WAKEUP))
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, fd, 1, 1, flags, NULL, 0) < 0)
		fail("io_uring_enter");

	struct io_uring_cqe *done = (void *)(cq + ring.cq_off.cqes);

	if (__atomic_load_n((uint32_t *)(cq + ring.cq_off.tail), __ATOMIC_ACQUIRE) != 1)
		fail("no completion");
	int result = done->res;

	close(fd);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

static int act_connect(int argc, char **argv)
{
	(void)argc;
	struct sockaddr_storage to;
	socklen_t length = address(argv[0], argv[1], &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct io_uring_sqe request = { .opcode = IORING_OP_CONNECT,
					.fd = fd,
					.addr = (uintptr_t)&to,
					.off = length };
	int ret = uring_submit(&request);

	say("uring-connect", ret, ", \"port\": %d", ret ? 0 : local_port(fd));
	return 0;
}

static int act_openat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	struct io_uring_sqe request = { .opcode = IORING_OP_OPENAT,
					.fd = parent_fd(argv[0], &name),
					.addr = (uintptr_t)name,
					.len = MODE,
					.open_flags = open_flags(argv[1]) };

	say("uring-openat", uring_submit(&request), "");
	return 0;
}

static int act_unlinkat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	struct io_uring_sqe request = { .opcode = IORING_OP_UNLINKAT,
					.fd = parent_fd(argv[0], &name),
					.addr = (uintptr_t)name };

	say("uring-unlinkat", uring_submit(&request), "");
	return 0;
}

static int act_renameat(int argc, char **argv)
{
	(void)argc;
	const char *from, *to;
	int here = parent_fd(argv[0], &from), there = parent_fd(argv[1], &to);
	struct io_uring_sqe request = { .opcode = IORING_OP_RENAMEAT,
					.fd = here,
					.addr = (uintptr_t)from,
					.len = there,
					.off = (uintptr_t)to };

	say("uring-renameat", uring_submit(&request), "");
	return 0;
}

const struct act uring_acts[] = {
	{ "uring-connect", "IP PORT: TCP", 2, act_connect },
	{ "uring-openat", "PATH FLAGS", 2, act_openat },
	{ "uring-unlinkat", "PATH", 1, act_unlinkat },
	{ "uring-renameat", "FROM TO", 2, act_renameat },
	{ 0 },
};
