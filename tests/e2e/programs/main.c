// SPDX-License-Identifier: Apache-2.0
#include "cause.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>

void say(const char *what, long ret, const char *format, ...)
{
	char line[2048], more[1024] = "";
	int error = ret < 0 ? errno : 0;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(more, sizeof(more), format, arguments);
	va_end(arguments);
	int length = snprintf(line, sizeof(line),
			      "{\"what\": \"%s\", \"pid\": %d, \"tid\": %d, \"ret\": %ld, \"errno\": %d%s}\n",
			      what, getpid(), gettid(), ret, error, more);
	// One write: lines of parent and child do not mix.
	if (write(STDOUT_FILENO, line, length) != length)
		_exit(3);
}

void fail(const char *why)
{
	dprintf(STDERR_FILENO, "picket-cause: %s: %s\n", why, strerror(errno));
	_exit(2);
}

socklen_t address(const char *ip, const char *port, struct sockaddr_storage *to)
{
	memset(to, 0, sizeof(*to));
	if (strchr(ip, ':')) {
		struct sockaddr_in6 *v6 = (void *)to;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(atoi(port));
		if (inet_pton(AF_INET6, ip, &v6->sin6_addr) != 1)
			fail("not an IPv6 address");
		return sizeof(*v6);
	}
	struct sockaddr_in *v4 = (void *)to;

	v4->sin_family = AF_INET;
	v4->sin_port = htons(atoi(port));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) != 1)
		fail("not an IPv4 address");
	return sizeof(*v4);
}

int local_port(int fd)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);

	if (getsockname(fd, (void *)&own, &length))
		fail("getsockname");
	if (own.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&own)->sin6_port);
	return ntohs(((struct sockaddr_in *)&own)->sin_port);
}

int open_flags(const char *letters)
{
	bool read = strchr(letters, 'r'), write = strchr(letters, 'w');
	int flags = read && write ? O_RDWR : write ? O_WRONLY : O_RDONLY;

	if (strchr(letters, 'c'))
		flags |= O_CREAT;
	if (strchr(letters, 't'))
		flags |= O_TRUNC;
	if (strchr(letters, 'e'))
		flags |= O_EXCL;
	return flags;
}

int parent_fd(const char *path, const char **name)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');

	if (!slash) {
		*name = path;
		return AT_FDCWD;
	}
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	int fd = open(slash == path ? "/" : folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fail(folder);
	return fd;
}

static const struct act *const tables[] = { exec_acts,	 image_acts, net_acts,	 socket_acts,
					    packet_acts, dns_acts,   file_acts,	 name_acts,
					    uring_acts,	 ring_acts,  old_acts,   storm_acts };

static const struct act *find(const char *name)
{
	for (size_t table = 0; table < sizeof(tables) / sizeof(*tables); table++)
		for (const struct act *act = tables[table]; act->name; act++)
			if (!strcmp(act->name, name))
				return act;
	return NULL;
}

static void usage(void)
{
	for (size_t table = 0; table < sizeof(tables) / sizeof(*tables); table++)
		for (const struct act *act = tables[table]; act->name; act++)
			dprintf(STDERR_FILENO, "picket-cause %s %s\n", act->name, act->usage);
	_exit(2);
}

struct call {
	const struct act *act;
	int argc;
	char **argv;
	int result;
};

static void *run(void *context)
{
	struct call *call = context;

	call->result = call->act->run(call->argc, call->argv);
	return NULL;
}

// What is asked for by a variable; programs that this one starts do not inherit it.
static bool asked(const char *variable)
{
	bool found = getenv(variable) != NULL;

	unsetenv(variable);
	return found;
}

int main(int argc, char **argv)
{
	const struct act *act = argc > 1 ? find(argv[1]) : NULL;

	if (!act || argc - 2 < act->least)
		usage();

	struct call call = { .act = act, .argc = argc - 2, .argv = argv + 2 };
	bool gate = asked("CAUSE_GATE"), linger = asked("CAUSE_LINGER");
	char byte;

	const char *user = getenv("CAUSE_UID");

	if (user && setresuid(atoi(user), atoi(user), atoi(user)))
		fail("setresuid");
	if (gate) {
		// Its exec is over for whoever watches: it may be moved elsewhere now.
		say("gate", 0, "");
		if (read(STDIN_FILENO, &byte, 1) != 1)
			fail("nothing came through the gate");
	}
	if (asked("CAUSE_THREAD")) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run, &call))
			fail("pthread_create");
		pthread_join(thread, NULL);
	} else {
		run(&call);
	}
	if (linger)
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	return call.result;
}
