// SPDX-License-Identifier: Apache-2.0
// Storms: one program executed many times, each time followed to its end.
//
// The program has the write end of a pipe as descriptor 3. What it does before it
// ends is counted: bytes through the pipe, files "escaped" in the working directory.
#include "ways.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define WITNESS 3
#define MOST_WORKERS 16

// Shared by the processes that do the work.
struct tally {
	long left;
	long runs, killed, otherwise, files;
};

static struct tally *tally;

static int witness(void)
{
	int ends[2], from, to;

	if (pipe(ends))
		fail("pipe");
	from = fcntl(ends[0], F_DUPFD_CLOEXEC, 16);
	to = fcntl(ends[1], F_DUPFD_CLOEXEC, 16);
	if (from < 0 || to < 0)
		fail("fcntl");
	close(ends[0]);
	close(ends[1]);
	// Nobody reads before the end, and nobody may wait for that.
	fcntl(from, F_SETPIPE_SZ, 1 << 20);
	if (fcntl(from, F_SETFL, O_NONBLOCK) || fcntl(to, F_SETFL, O_NONBLOCK) ||
	    dup2(to, WITNESS) < 0)
		fail("the pipe");
	close(to);
	return from;
}

static long bytes_in(int witness)
{
	char block[65536];
	long total = 0;
	ssize_t length;

	while ((length = read(witness, block, sizeof(block))) > 0)
		total += length;
	return total;
}

// Waits for everybody that descends from this process.
static void follow(void)
{
	pid_t child;
	int status;

	while ((child = waitpid(-1, &status, 0)) > 0 || errno == EINTR) {
		if (child < 0)
			continue;
		long *count = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ?
				      &tally->killed :
				      &tally->otherwise;

		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	}
	if (!unlink("escaped"))
		__atomic_fetch_add(&tally->files, 1, __ATOMIC_RELAXED);
}

static void begin(void)
{
	// Whoever loses its parent comes to this process.
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		fail("prctl");
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		fail("mmap");
}

static void tell(const char *what, int witness)
{
	say(what, tally->runs, ", \"killed\": %ld, \"otherwise\": %ld, \"bytes\": %ld, \"files\": %ld",
	    tally->killed, tally->otherwise, bytes_in(witness), tally->files);
}

__attribute__((noreturn)) static void work(const struct way *way, char **argv)
{
	const char *asked = getenv("CAUSE_PAUSE");
	int pause = asked ? atoi(asked) : 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_CHILD_SUBREAPER, 1))
		fail("prctl");
	while (__atomic_fetch_sub(&tally->left, 1, __ATOMIC_RELAXED) > 0) {
		way->start(argv);
		__atomic_fetch_add(&tally->runs, 1, __ATOMIC_RELAXED);
		follow();
		if (pause)
			usleep(pause);
	}
	_exit(0);
}

static int act_storm(int argc, char **argv)
{
	(void)argc;
	const char *asked = getenv("CAUSE_WORKERS");
	int workers = asked ? atoi(asked) : 2, pipe;
	const struct way *way = way_named(argv[1]);
	pid_t started[MOST_WORKERS];
	long count = atol(argv[0]);
	char byte;

	if (!way || workers < 1 || workers > MOST_WORKERS) {
		errno = EINVAL;
		fail(argv[1]);
	}
	begin();
	tally->left = count ? count : LONG_MAX;
	pipe = witness();
	for (int number = 0; number < workers; number++) {
		started[number] = fork();
		if (started[number] < 0)
			fail("fork");
		if (!started[number])
			work(way, argv + 2);
	}
	if (!count) {
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
		__atomic_store_n(&tally->left, 0, __ATOMIC_RELAXED);
	}
	for (int number = 0; number < workers; number++) {
		int status;

		if (waitpid(started[number], &status, 0) < 0 || status)
			fail("a worker");
	}
	tell("storm", pipe);
	return 0;
}

// Forks for as long as there may be more, in parents and in children alike; then
// every process executes.
static int act_bomb(int argc, char **argv)
{
	(void)argc;
	long count = atol(argv[0]);
	int pipe;

	begin();
	tally->left = count;
	pipe = witness();
	if (fork() == 0) {
		__atomic_fetch_sub(&tally->left, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&tally->runs, 1, __ATOMIC_RELAXED);
		while (__atomic_fetch_sub(&tally->left, 1, __ATOMIC_RELAXED) > 0) {
			pid_t child = fork();

			if (child < 0)
				break;
			if (child)
				__atomic_fetch_add(&tally->runs, 1, __ATOMIC_RELAXED);
		}
		execv(argv[1], argv + 1);
		_exit(126);
	}
	follow();
	tell("bomb", pipe);
	return 0;
}

const struct act storm_acts[] = {
	{ "storm", "N WAY PATH [ARGUMENT]...: N executions (0: until stdin ends), by CAUSE_WORKERS at once", 3,
	  act_storm },
	{ "bomb", "N PATH [ARGUMENT]...: N processes that fork and fork, then execute", 2, act_bomb },
	{ 0 },
};
