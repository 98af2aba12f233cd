// SPDX-License-Identifier: Apache-2.0
// System calls as 32-bit programs make them (int 0x80), which a 64-bit program may
// make too. They have numbers of their own, and take 32-bit pointers.
#include "cause.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>

#if defined(__x86_64__)

enum { OLD_OPEN = 5, OLD_CREAT = 8, OLD_UNLINK = 10, OLD_EXECVE = 11, OLD_CHMOD = 15,
       OLD_RENAME = 38, OLD_CONNECT = 362, MODE = 0640, TEXTS = 3 };

// This program is static and not relocated: what it has from the start lies low.
static char texts[TEXTS][4096];
static uint32_t arguments[TEXTS + 1], no_environment[1];
static struct sockaddr_storage target;
static sigjmp_buf refused;

static uint32_t low(void *pointer)
{
	if ((uintptr_t)pointer >> 32)
		fail("not in the first 4 GiB");
	return (uintptr_t)pointer;
}

static uint32_t text(int which, const char *from)
{
	snprintf(texts[which], sizeof(texts[which]), "%s", from);
	return low(texts[which]);
}

static void no_such_door(int signal)
{
	siglongjmp(refused, signal);
}

// A kernel without it answers with SIGSEGV.
static long call(long number, uint32_t first, uint32_t second, uint32_t third)
{
	struct sigaction act = { .sa_handler = no_such_door };
	long ret = -ENOSYS;

	sigaction(SIGSEGV, &act, NULL);
	if (!sigsetjmp(refused, 1))
		asm volatile("int $0x80"
			     : "=a"(ret)
			     : "a"(number), "b"(first), "c"(second), "d"(third)
			     : "memory", "r8", "r9", "r10", "r11");
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

static int act_old(int argc, char **argv)
{
	const char *what = argv[0];
	long ret;

	if (!strcmp(what, "open") && argc > 2)
		ret = call(OLD_OPEN, text(0, argv[1]), open_flags(argv[2]), MODE);
	else if (!strcmp(what, "creat"))
		ret = call(OLD_CREAT, text(0, argv[1]), MODE, 0);
	else if (!strcmp(what, "unlink"))
		ret = call(OLD_UNLINK, text(0, argv[1]), 0, 0);
	else if (!strcmp(what, "rename") && argc > 2)
		ret = call(OLD_RENAME, text(0, argv[1]), text(1, argv[2]), 0);
	else if (!strcmp(what, "chmod") && argc > 2)
		ret = call(OLD_CHMOD, text(0, argv[1]), strtoul(argv[2], NULL, 8), 0);
	else if (!strcmp(what, "connect") && argc > 2) {
		socklen_t length = address(argv[1], argv[2], &target);

		ret = call(OLD_CONNECT,
			   socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), low(&target),
			   length);
	} else if (!strcmp(what, "exec")) {
		for (int at = 0; at < TEXTS && argv[1 + at]; at++)
			arguments[at] = text(at, argv[1 + at]);
		ret = call(OLD_EXECVE, arguments[0], low(arguments), low(no_environment));
	} else {
		fail(what);
	}
	say("old", ret, "");
	return 0;
}

#else

static int act_old(int argc, char **argv)
{
	(void)argc, (void)argv;
	errno = ENOSYS;
	say("old", -1, "");
	return 0;
}

#endif

const struct act old_acts[] = {
	{ "old", "open PATH FLAGS|creat PATH|unlink PATH|rename FROM TO|chmod PATH OCTAL|connect IP PORT|exec PATH "
		 "[ARGUMENT]...: by int 0x80",
	  2, act_old },
	{ 0 },
};
