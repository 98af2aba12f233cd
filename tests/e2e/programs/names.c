// SPDX-License-Identifier: Apache-2.0
// Files: calls that come by a file, or make a name for one, in other ways than the
// usual ones.
#include "cause.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum { MODE = 0640, HANDLE_ROOM = 128 };

static int finish(const char *what, long ret)
{
	say(what, ret, "");
	return 0;
}

static int act_mknod(int argc, char **argv)
{
	(void)argc;
#ifdef SYS_mknod
	return finish("mknod", syscall(SYS_mknod, argv[0], S_IFREG | MODE, 0));
#else
	return finish("mknod", mknod(argv[0], S_IFREG | MODE, 0));
#endif
}

static int act_mknodat(int argc, char **argv)
{
	(void)argc;
	const char *name;
	int folder = parent_fd(argv[0], &name);

	return finish("mknodat", syscall(SYS_mknodat, folder, name, S_IFREG | MODE, 0));
}

static int act_link(int argc, char **argv)
{
	(void)argc;
	return finish("link", link(argv[0], argv[1]));
}

static int act_symlink(int argc, char **argv)
{
	(void)argc;
	return finish("symlink", symlink(argv[0], argv[1]));
}

// A file without a name, then a name for it.
static int act_tmpfile(int argc, char **argv)
{
	(void)argc;
	char own[64];
	int fd = open(argv[0], O_TMPFILE | O_WRONLY, MODE);

	if (fd < 0)
		return finish("tmpfile", fd);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	return finish("tmpfile", linkat(AT_FDCWD, own, AT_FDCWD, argv[1], AT_SYMLINK_FOLLOW));
}

static int act_open_handle(int argc, char **argv)
{
	(void)argc;
	struct {
		struct file_handle head;
		unsigned char room[HANDLE_ROOM];
	} handle = { .head.handle_bytes = HANDLE_ROOM };
	// Any directory of the mount says which file system the handle is of.
	int mount, folder = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (name_to_handle_at(AT_FDCWD, argv[0], &handle.head, &mount, 0))
		return finish("open-handle", -1);
	return finish("open-handle", open_by_handle_at(folder, &handle.head, open_flags(argv[1])));
}

// Opens a descriptor that says only where the file is, and then the file by it.
static int act_reopen(int argc, char **argv)
{
	(void)argc;
	char own[64];
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	if (fd < 0)
		fail(argv[0]);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	return finish("reopen", open(own, open_flags(argv[1])));
}

static int act_truncate(int argc, char **argv)
{
	(void)argc;
	return finish("truncate", truncate(argv[0], 0));
}

static int act_exchange(int argc, char **argv)
{
	(void)argc;
	return finish("exchange", syscall(SYS_renameat2, AT_FDCWD, argv[0], AT_FDCWD, argv[1],
					  RENAME_EXCHANGE));
}

static int act_fchmod_path(int argc, char **argv)
{
	(void)argc;
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	return finish("fchmod-path", syscall(SYS_fchmodat2, fd, "", strtoul(argv[1], NULL, 8),
					     AT_EMPTY_PATH));
}

static int act_chmod_fd(int argc, char **argv)
{
	(void)argc;
	char own[64];
	int fd = open(argv[0], O_PATH | O_CLOEXEC);

	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	return finish("chmod-fd", chmod(own, strtoul(argv[1], NULL, 8)));
}

const struct act name_acts[] = {
	{ "mknod", "PATH: a regular file", 1, act_mknod },
	{ "mknodat", "PATH: a regular file", 1, act_mknodat },
	{ "link", "FROM TO: a hard link", 2, act_link },
	{ "symlink", "TARGET PATH", 2, act_symlink },
	{ "tmpfile", "FOLDER PATH: O_TMPFILE, then linkat", 2, act_tmpfile },
	{ "open-handle", "PATH FLAGS FOLDER: open_by_handle_at, on that folder's mount", 3, act_open_handle },
	{ "reopen", "PATH FLAGS: through /proc/self/fd", 2, act_reopen },
	{ "truncate", "PATH: without opening it", 1, act_truncate },
	{ "exchange", "FROM TO: renameat2 with RENAME_EXCHANGE", 2, act_exchange },
	{ "fchmod-path", "PATH OCTAL: fchmodat2 with AT_EMPTY_PATH", 2, act_fchmod_path },
	{ "chmod-fd", "PATH OCTAL: through /proc/self/fd", 2, act_chmod_fd },
	{ 0 },
};
