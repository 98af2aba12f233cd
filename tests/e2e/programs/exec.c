// SPDX-License-Identifier: Apache-2.0
// Processes: every way to come to a new image.
#include "ways.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

int status_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

__attribute__((noreturn)) static void execute(char **argv)
{
	execv(argv[0], argv);
	say("exec", -1, "");
	_exit(126);
}

static int act_exec(int argc, char **argv)
{
	(void)argc;
	execute(argv);
}

static int act_spawn(int argc, char **argv)
{
	(void)argc;
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (!child)
		execute(argv);
	int status = status_of(child);

	say("spawn", status, ", \"child\": %d", child);
	return 0;
}

// N processes, each forked by the one before; the last one executes.
static int act_chain(int argc, char **argv)
{
	(void)argc;
	int left = atoi(argv[0]);

	while (left-- > 0) {
		pid_t child = fork();

		if (child < 0)
			fail("fork");
		if (child) {
			say("chain", 0, ", \"child\": %d", child);
			exit(status_of(child));
		}
	}
	execute(argv + 1);
}

// Double fork: the middle process is gone before the new image starts.
static int act_daemon(int argc, char **argv)
{
	(void)argc;
	int go[2], name[2];
	pid_t middle, last = 0;
	char byte = 0;

	if (pipe(go) || pipe(name))
		fail("pipe");
	middle = fork();
	if (middle < 0)
		fail("fork");
	if (!middle) {
		setsid();
		last = fork();
		if (last) {
			if (write(name[1], &last, sizeof(last)) != sizeof(last))
				fail("write");
			_exit(0);
		}
		if (read(go[0], &byte, 1) != 1)
			fail("read");
		execute(argv);
	}
	if (read(name[0], &last, sizeof(last)) != sizeof(last))
		fail("read");
	status_of(middle);
	say("daemon", 0, ", \"middle\": %d, \"child\": %d", middle, last);
	if (write(go[1], &byte, 1) != 1)
		fail("write");
	return 0;
}

static int act_vfork(int argc, char **argv)
{
	(void)argc;
	pid_t child = vfork();

	if (child < 0)
		fail("vfork");
	if (!child) {
		execv(argv[0], argv);
		_exit(126);
	}
	int status = status_of(child);

	say("vfork", status, ", \"child\": %d", child);
	return 0;
}

static int act_memfd(int argc, char **argv)
{
	(void)argc;
	int fd = copy_to_memfd(argv[0], argv[1]);

	syscall(SYS_execveat, fd, "", argv + 1, environ, AT_EMPTY_PATH);
	say("memfd", -1, "");
	return 1;
}

static int act_deleted(int argc, char **argv)
{
	(void)argc;
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	if (fd < 0 || unlink(argv[0]))
		fail(argv[0]);
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	say("deleted", -1, "");
	return 1;
}

// Runs PATH exit 0 NUMBER for every NUMBER below N, one after another.
static int act_burst(int argc, char **argv)
{
	(void)argc;
	long count = atol(argv[0]), started = 0;

	for (long number = 0; number < count; number++) {
		char text[24];
		char *arguments[] = { argv[1], "exit", "0", text, NULL };
		pid_t child;

		snprintf(text, sizeof(text), "%ld", number);
		if (!posix_spawn(&child, argv[1], NULL, NULL, arguments, environ) &&
		    status_of(child) == 0)
			started++;
	}
	say("burst", started, "");
	return started == count ? 0 : 1;
}

static int act_exit(int argc, char **argv)
{
	(void)argc;
	_exit(atoi(argv[0]));
}

static int act_hold(int argc, char **argv)
{
	(void)argc, (void)argv;
	say("hold", 0, ", \"ppid\": %d", getppid());
	return 0;
}

static int act_linger(int argc, char **argv)
{
	char byte;

	act_hold(argc, argv);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

const struct act exec_acts[] = {
	{ "exec", "PATH [ARGUMENT]...: execv, in this process", 1, act_exec },
	{ "spawn", "PATH [ARGUMENT]...: fork, execv", 1, act_spawn },
	{ "chain", "N PATH [ARGUMENT]...: N forks in a row, then execv", 2, act_chain },
	{ "daemon", "PATH [ARGUMENT]...: double fork, then execv", 1, act_daemon },
	{ "vfork", "PATH [ARGUMENT]...: vfork, execv", 1, act_vfork },
	{ "memfd", "NAME PATH [ARGUMENT]...: execveat of a copy in memory", 2, act_memfd },
	{ "deleted", "PATH [ARGUMENT]...: unlink it, then execveat it", 1, act_deleted },
	{ "burst", "N PATH: N processes, each with its own number", 2, act_burst },
	{ "exit", "CODE [ANYTHING]...: end at once", 1, act_exit },
	{ "hold", "[ANYTHING]...: say its parent's pid", 0, act_hold },
	{ "linger", "[ANYTHING]...: say its parent's pid, then stay until stdin ends", 0, act_linger },
	{ 0 },
};
