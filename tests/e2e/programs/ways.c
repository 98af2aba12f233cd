// SPDX-License-Identifier: Apache-2.0
// Every way to come to a new image, as far as the kernel tells one from another.
#include "ways.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CROWD 2

int copy_to_memfd(const char *name, const char *path)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create(name, MFD_CLOEXEC);
	char block[65536];
	ssize_t length;

	if (from < 0 || to < 0)
		fail("memfd");
	while ((length = read(from, block, sizeof(block))) > 0)
		if (write(to, block, length) != length)
			fail("write");
	close(from);
	return to;
}

__attribute__((noreturn)) static void execute(char **argv)
{
	execv(argv[0], argv);
	_exit(126);
}

static pid_t forked(void)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	return child;
}

static void by_fork(char **argv)
{
	if (!forked())
		execute(argv);
}

static void by_vfork(char **argv)
{
	pid_t child = vfork();

	if (child < 0)
		fail("vfork");
	if (!child) {
		execv(argv[0], argv);
		_exit(126);
	}
}

static int execute_clone(void *argv)
{
	execute(argv);
}

static void by_clone(char **argv)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	if (clone(execute_clone, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, argv) < 0)
		fail("clone");
}

static void *execute_in_thread(void *argv)
{
	execute(argv);
}

static void start_thread(void *(*run)(void *), void *context)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, context))
		fail("pthread_create");
}

// Not the leader executes; it takes the leader's number.
static void by_thread(char **argv)
{
	if (forked())
		return;
	start_thread(execute_in_thread, argv);
	for (;;)
		pause();
}

static int arrived;

static void *busy(void *unused)
{
	__atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED);
	for (;;)
		getppid();
	return unused;
}

// The leader executes while its other threads run.
static void by_crowd(char **argv)
{
	if (forked())
		return;
	for (int number = 0; number < CROWD; number++)
		start_thread(busy, NULL);
	while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < CROWD)
		sched_yield();
	execute(argv);
}

static int leader;

static void *execute_after_leader(void *argv)
{
	while (__atomic_load_n(&leader, __ATOMIC_ACQUIRE))
		sched_yield();
	execute(argv);
}

// A thread executes whose leader has ended.
static void by_orphan(char **argv)
{
	if (forked())
		return;
	leader = 1;
	// The kernel clears it when this thread ends.
	syscall(SYS_set_tid_address, &leader);
	start_thread(execute_after_leader, argv);
	syscall(SYS_exit, 0);
}

// Double fork and a session of its own: its parent is gone when it executes.
static void by_daemon(char **argv)
{
	int gone[2], status;
	pid_t middle;
	char byte;

	if (pipe2(gone, O_CLOEXEC))
		fail("pipe");
	middle = forked();
	if (!middle) {
		if (setsid() < 0)
			fail("setsid");
		if (forked())
			_exit(0);
		// Its parent, and who waits for that, have the other copies.
		close(gone[1]);
		while (read(gone[0], &byte, 1) > 0)
			;
		execute(argv);
	}
	if (waitpid(middle, &status, 0) < 0 || status)
		fail("the middle process");
	close(gone[0]);
	close(gone[1]);
}

static void by_descriptor(char **argv)
{
	if (forked())
		return;
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	_exit(126);
}

static void by_memfd(char **argv)
{
	if (forked())
		return;
	int fd = copy_to_memfd("copy", argv[0]);

	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	_exit(126);
}

static const struct way ways[] = {
	{ "fork", by_fork },     { "vfork", by_vfork },   { "clone", by_clone },
	{ "thread", by_thread }, { "crowd", by_crowd },   { "orphan", by_orphan },
	{ "daemon", by_daemon }, { "fd", by_descriptor }, { "memfd", by_memfd },
};

const struct way *way_named(const char *name)
{
	for (size_t at = 0; at < sizeof(ways) / sizeof(*ways); at++)
		if (!strcmp(ways[at].name, name))
			return &ways[at];
	return NULL;
}
