// SPDX-License-Identifier: Apache-2.0
// Processes: ways to an image that hide where it lies.
#include "cause.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>

static int failed(const char *what)
{
	say(what, -1, "");
	return 126;
}

static int act_execveat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name);

	syscall(SYS_execveat, folder, name, argv, environ, 0);
	return failed("execveat");
}

static int act_fexec(int argc, char **argv)
{
	(void)argc;
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	if (fd < 0)
		fail(argv[0]);
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	return failed("fexec");
}

static int act_exec_fd(int argc, char **argv)
{
	(void)argc;
	int fd = open(argv[0], O_RDONLY);
	char path[64];

	if (fd < 0)
		fail(argv[0]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	execv(path, argv);
	return failed("exec-fd");
}

static int act_posix_spawn(int argc, char **argv)
{
	(void)argc;
	pid_t child;
	int error = posix_spawn(&child, argv[0], NULL, NULL, argv, environ);

	if (error) {
		errno = error;
		return failed("posix-spawn");
	}
	say("posix-spawn", status_of(child), ", \"child\": %d", child);
	return 0;
}

// FOLDER NAME: with that folder as its root.
static int act_chroot(int argc, char **argv)
{
	(void)argc;
	char path[256];

	if (chroot(argv[0]) || chdir("/"))
		fail("chroot");
	snprintf(path, sizeof(path), "/%s", argv[1]);
	argv[1] = path;
	execv(path, argv + 1);
	return failed("chroot");
}

// FOLDER AT NAME: through another mount of that folder, which nobody else sees.
static int act_bound(int argc, char **argv)
{
	(void)argc;
	char path[4096];

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(argv[0], argv[1], NULL, MS_BIND, NULL))
		fail("mount");
	snprintf(path, sizeof(path), "%s/%s", argv[1], argv[2]);
	argv[2] = path;
	execv(path, argv + 2);
	return failed("bound");
}

const struct act image_acts[] = {
	{ "execveat", "PATH [ARGUMENT]...: from its folder's descriptor", 1, act_execveat },
	{ "fexec", "PATH [ARGUMENT]...: execveat with AT_EMPTY_PATH", 1, act_fexec },
	{ "exec-fd", "PATH [ARGUMENT]...: through /proc/self/fd", 1, act_exec_fd },
	{ "posix-spawn", "PATH [ARGUMENT]...", 1, act_posix_spawn },
	{ "chroot", "FOLDER NAME [ARGUMENT]...: execv in that root", 2, act_chroot },
	{ "bound", "FOLDER AT NAME [ARGUMENT]...: execv through a bind mount", 3, act_bound },
	{ 0 },
};
