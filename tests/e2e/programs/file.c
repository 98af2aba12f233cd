// SPDX-License-Identifier: Apache-2.0
// Files: every system call that opens, makes, renames, removes or re-modes one.
// The *at calls are given a folder's descriptor and a bare name.
#include "cause.h"

#include <fcntl.h>
#include <linux/openat2.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum { MODE = 0640 };

static int finish(const char *what, long ret)
{
	say(what, ret, "");
	return 0;
}

static int act_open(int argc, char **argv)
{
	(void)argc;
	return finish("open", syscall(SYS_open, argv[0], open_flags(argv[1]), MODE));
}

static int act_openat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name);

	return finish("openat", syscall(SYS_openat, folder, name, open_flags(argv[1]), MODE));
}

static int act_openat2(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name), flags = open_flags(argv[1]);
	struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? MODE : 0 };

	return finish("openat2", syscall(SYS_openat2, folder, name, &how, sizeof(how)));
}

static int act_creat(int argc, char **argv)
{
	(void)argc;
	return finish("creat", syscall(SYS_creat, argv[0], MODE));
}

static int act_rename(int argc, char **argv)
{
	(void)argc;
	return finish("rename", syscall(SYS_rename, argv[0], argv[1]));
}

static int act_renameat(int argc, char **argv)
{
	(void)argc;
	const char *from, *to;
	int here = parent_fd(argv[0], &from), there = parent_fd(argv[1], &to);

	return finish("renameat", syscall(SYS_renameat, here, from, there, to));
}

static int act_renameat2(int argc, char **argv)
{
	(void)argc;
	const char *from, *to;
	int here = parent_fd(argv[0], &from), there = parent_fd(argv[1], &to);

	return finish("renameat2", syscall(SYS_renameat2, here, from, there, to, RENAME_NOREPLACE));
}

static int act_unlink(int argc, char **argv)
{
	(void)argc;
	return finish("unlink", syscall(SYS_unlink, argv[0]));
}

static int act_unlinkat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name);

	return finish("unlinkat", syscall(SYS_unlinkat, folder, name, 0));
}

static unsigned int mode_of(const char *octal)
{
	return strtoul(octal, NULL, 8);
}

static int act_chmod(int argc, char **argv)
{
	(void)argc;
	return finish("chmod", syscall(SYS_chmod, argv[0], mode_of(argv[1])));
}

static int act_fchmod(int argc, char **argv)
{
	(void)argc;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	return finish("fchmod", syscall(SYS_fchmod, fd, mode_of(argv[1])));
}

static int act_fchmodat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name);

	return finish("fchmodat", syscall(SYS_fchmodat, folder, name, mode_of(argv[1])));
}

static int act_fchmodat2(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name);

	return finish("fchmodat2", syscall(SYS_fchmodat2, folder, name, mode_of(argv[1]), 0));
}

const struct act file_acts[] = {
	{ "open", "PATH FLAGS: flags are letters of rwcte", 2, act_open },
	{ "openat", "PATH FLAGS", 2, act_openat },
	{ "openat2", "PATH FLAGS", 2, act_openat2 },
	{ "creat", "PATH", 1, act_creat },
	{ "rename", "FROM TO", 2, act_rename },
	{ "renameat", "FROM TO", 2, act_renameat },
	{ "renameat2", "FROM TO", 2, act_renameat2 },
	{ "unlink", "PATH", 1, act_unlink },
	{ "unlinkat", "PATH", 1, act_unlinkat },
	{ "chmod", "PATH OCTAL", 2, act_chmod },
	{ "fchmod", "PATH OCTAL", 2, act_fchmod },
	{ "fchmodat", "PATH OCTAL", 2, act_fchmodat },
	{ "fchmodat2", "PATH OCTAL", 2, act_fchmodat2 },
	{ 0 },
};
