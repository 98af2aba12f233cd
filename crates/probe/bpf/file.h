// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Opening, creating, renaming, deleting files and changing their modes, where
// the system call returns: its result is known, and an opened file's path is
// that of the file that was really opened.
//
// Renames, deletions and modes are told by the path that the caller gave. It is
// read from the caller's memory once more, so a thread that rewrites it
// meanwhile deceives us; symbolic links in it are not followed.
#pragma once

#include "file_rules.h"

// What the arguments of a call that names one file, or two, come down to.
struct named {
	__s64 ret;
	const char *name; // in the caller's memory, as is `from`
	const char *from;
	__s32 dir; // descriptor or AT_FDCWD
	__s32 from_dir;
	__u32 kind;
	__u32 mode;
};

static __always_inline struct pt_regs *caller_regs(void)
{
	return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

// The sensor's own files are nobody's news, and would feed on themselves.
static __always_inline bool is_self(void)
{
	return setting(PICKET_SET_SELF) == bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct file *file_of(struct task_struct *task, __s32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file) {
		count_error(PICKET_AT_FD);
		return NULL;
	}
	return file;
}

static __always_inline void file_head(struct scratch *scratch, __u32 kind,
				      struct task_struct *task)
{
	head_fill(&scratch->file.head, kind, 0, task);
	scratch->file.error = 0;
	scratch->file.mode = 0;
	scratch->file.error_known = PICKET_KNOWN;
	scratch->file.open = 0;
	scratch->file.reserved = 0;
	scratch->file.more_reserved = 0;
	for (int i = 0; i < PICKET_FILE_TEXTS; i++)
		text_mark(&scratch->file.texts[i], PICKET_ABSENT);
}

static __always_inline struct scratch *file_start(__u32 kind, struct task_struct *task)
{
	struct scratch *scratch = scratch_take(SCRATCH_FILE);

	if (scratch)
		file_head(scratch, kind, task);
	else
		count_drop(kind);
	return scratch;
}

// Judges what scratch->file says, and acts. The call is over: what it did is
// done, but the process runs no further instruction.
static __always_inline int file_judge(struct scratch *scratch)
{
	__u64 half = setting(PICKET_SET_TABLES);
	struct process_state *actor;
	struct judge *judge;

	__builtin_memset(&scratch->file.verdict, 0, sizeof(scratch->file.verdict));
	if (!half)
		return 0;
	judge = judge_take(JUDGE_FILE);
	if (!judge) {
		count_error(PICKET_AT_JUDGE);
		return 0;
	}
	judge->half = (half - 1) & 1;
	actor = state_of(scratch->file.head.task.pid, judge->half);
	file_rules(judge, actor, scratch);
	decide(judge, actor, &scratch->file.head,
	       (struct powers){ .kill = KILL_NOW });
	scratch->file.verdict = judge->verdict;
	return 0;
}

static __always_inline void file_tell(struct scratch *scratch)
{
	__u32 used = scratch->tail_used;

	if (used > TAIL_LIMIT + PICKET_TEXT_MAX)
		used = TAIL_LIMIT + PICKET_TEXT_MAX;
	record_output(&scratch->file.head, sizeof(struct picket_file) + used, &scratch->file.verdict);
}

static __always_inline void file_output(struct scratch *scratch)
{
	file_judge(scratch);
	file_tell(scratch);
}

static __always_inline __u8 open_bits(__u64 flags)
{
	__u64 access = flags & O_ACCMODE;
	__u8 bits = flags & O_CREAT ? PICKET_OPEN_CREATE : 0;

	if (access != O_WRONLY)
		bits |= PICKET_OPEN_READ;
	if (access == O_WRONLY || access == O_RDWR)
		bits |= PICKET_OPEN_WRITE;
	return bits;
}

// The directory that `first`, the given path's first character, starts from.
static __always_inline int text_base(struct scratch *scratch, struct picket_text *text, __s32 dir, char first)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *file;

	if (first == '/') {
		text_path(scratch, text, BPF_CORE_READ(fs, root.mnt), BPF_CORE_READ(fs, root.dentry));
	} else if (dir == AT_FDCWD) {
		text_path(scratch, text, BPF_CORE_READ(fs, pwd.mnt), BPF_CORE_READ(fs, pwd.dentry));
	} else {
		file = file_of(task, dir);
		if (file)
			text_path(scratch, text, BPF_CORE_READ(file, f_path.mnt),
				  BPF_CORE_READ(file, f_path.dentry));
		else
			text_mark(text, PICKET_UNKNOWN);
	}
	return 0;
}

// The path as the caller gave it, and where it starts from, as two texts; the
// base stands right before the path.
static __noinline int text_given(struct scratch *scratch, __u32 base, __s32 dir, const char *name,
				 bool user)
{
	struct picket_text *texts;
	char first = 0;

	if (base > PICKET_FILE_TEXTS - 2)
		return 0;
	texts = &scratch->file.texts[base];
	if (user ? bpf_probe_read_user(&first, 1, name) : bpf_probe_read_kernel(&first, 1, name)) {
		text_mark(&texts[0], PICKET_UNKNOWN);
		text_mark(&texts[1], PICKET_UNKNOWN);
		count_error(PICKET_AT_USER_PATH);
		return 0;
	}
	text_base(scratch, &texts[0], dir, first);
	if (user)
		text_user(scratch, &texts[1], name);
	else
		text_kernel(scratch, &texts[1], name);
	return 0;
}

// Whether a security hook was asked about the file that the call was to make.
static __always_inline bool create_was_judged(void)
{
	__u64 thread = current_thread();
	struct judged *before = bpf_map_lookup_elem(&judged, &thread);

	return before && before->kind == PICKET_FILE_CREATE;
}

// An open(2) of any kind.
static __noinline int open_exit(__s64 ret, __s32 dir, const char *name, __u64 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch;
	struct picket_text *texts;
	struct file *file = NULL;
	__u32 kind = PICKET_FILE_OPEN;
	__u32 mode;

	// A name that is not there is no file: libraries are searched for that way.
	if (ret == -ENOENT || ret == -ENOTDIR || is_self())
		return 0;
	if (ret == -EPERM && create_was_judged())
		kind = PICKET_FILE_CREATE;
	if (ret >= 0) {
		file = file_of(task, ret);
		if (!file)
			return 0;
		mode = BPF_CORE_READ(file, f_inode, i_mode);
		if ((mode & S_IFMT) == S_IFDIR)
			return 0;
		if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
			kind = PICKET_FILE_CREATE;
	}
	if (!wanted(kind))
		return 0;
	scratch = file_start(kind, task);
	if (!scratch)
		return 0;
	texts = scratch->file.texts;
	scratch->file.open = open_bits(flags);
	if (file) {
		text_path(scratch, &texts[PICKET_FILE_PATH], BPF_CORE_READ(file, f_path.mnt),
			  BPF_CORE_READ(file, f_path.dentry));
	} else {
		scratch->file.error = -ret;
		text_given(scratch, PICKET_FILE_DIR, dir, name, true);
	}
	file_output(scratch);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int openat_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();

	return open_exit(ctx->ret, SYSCALL_ARG_0(regs), (void *)SYSCALL_ARG_1(regs),
			 SYSCALL_ARG_2(regs));
}

SEC("tracepoint/syscalls/sys_exit_open")
int open_exit_old(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();

	return open_exit(ctx->ret, AT_FDCWD, (void *)SYSCALL_ARG_0(regs), SYSCALL_ARG_1(regs));
}

SEC("tracepoint/syscalls/sys_exit_creat")
int creat_exit(struct sys_exit_ctx *ctx)
{
	return open_exit(ctx->ret, AT_FDCWD, (void *)SYSCALL_ARG_0(caller_regs()),
			 O_CREAT | O_WRONLY);
}

SEC("tracepoint/syscalls/sys_exit_openat2")
int openat2_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	__u64 flags = 0;

	// The first field of struct open_how, which is an interface of the kernel.
	if (bpf_probe_read_user(&flags, sizeof(flags), (void *)SYSCALL_ARG_2(regs)))
		count_error(PICKET_AT_USER_PATH);
	return open_exit(ctx->ret, SYSCALL_ARG_0(regs), (void *)SYSCALL_ARG_1(regs), flags);
}

// A call that names one file by a path, or two.
static __noinline int path_exit(struct named *call)
{
	struct scratch *scratch;

	if (call->ret == -ENOENT || call->ret == -ENOTDIR || !wanted(call->kind) || is_self())
		return 0;
	scratch = file_start(call->kind, bpf_get_current_task_btf());
	if (!scratch)
		return 0;
	scratch->file.error = -call->ret;
	scratch->file.mode = call->mode & 07777;
	text_given(scratch, PICKET_FILE_DIR, call->dir, call->name, true);
	if (call->from)
		text_given(scratch, PICKET_FILE_FROM_DIR, call->from_dir, call->from, true);
	file_output(scratch);
	return 0;
}

// A file that is made without being opened.
static __always_inline int mknod_call(struct sys_exit_ctx *ctx, __s32 dir, const char *name,
				      __u32 mode)
{
	struct named call = {
		.kind = PICKET_FILE_CREATE,
		.ret = ctx->ret,
		.dir = dir,
		.name = name,
	};

	if (mode & S_IFMT && (mode & S_IFMT) != S_IFREG)
		return 0;
	return path_exit(&call);
}

SEC("tracepoint/syscalls/sys_exit_mknod")
int mknod_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();

	return mknod_call(ctx, AT_FDCWD, (void *)SYSCALL_ARG_0(regs), SYSCALL_ARG_1(regs));
}

SEC("tracepoint/syscalls/sys_exit_mknodat")
int mknodat_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();

	return mknod_call(ctx, SYSCALL_ARG_0(regs), (void *)SYSCALL_ARG_1(regs),
			  SYSCALL_ARG_2(regs));
}

SEC("tracepoint/syscalls/sys_exit_rename")
int rename_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_RENAME,
		.ret = ctx->ret,
		.dir = AT_FDCWD,
		.name = (void *)SYSCALL_ARG_1(regs),
		.from_dir = AT_FDCWD,
		.from = (void *)SYSCALL_ARG_0(regs),
	};

	return path_exit(&call);
}

static __always_inline int renameat_call(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_RENAME,
		.ret = ctx->ret,
		.dir = SYSCALL_ARG_2(regs),
		.name = (void *)SYSCALL_ARG_3(regs),
		.from_dir = SYSCALL_ARG_0(regs),
		.from = (void *)SYSCALL_ARG_1(regs),
	};

	return path_exit(&call);
}

SEC("tracepoint/syscalls/sys_exit_renameat")
int renameat_exit(struct sys_exit_ctx *ctx)
{
	return renameat_call(ctx);
}

SEC("tracepoint/syscalls/sys_exit_renameat2")
int renameat2_exit(struct sys_exit_ctx *ctx)
{
	return renameat_call(ctx);
}

SEC("tracepoint/syscalls/sys_exit_unlink")
int unlink_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_DELETE,
		.ret = ctx->ret,
		.dir = AT_FDCWD,
		.name = (void *)SYSCALL_ARG_0(regs),
	};

	return path_exit(&call);
}

SEC("tracepoint/syscalls/sys_exit_unlinkat")
int unlinkat_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_DELETE,
		.ret = ctx->ret,
		.dir = SYSCALL_ARG_0(regs),
		.name = (void *)SYSCALL_ARG_1(regs),
	};

	if (SYSCALL_ARG_2(regs) & AT_REMOVEDIR)
		return 0;
	return path_exit(&call);
}

SEC("tracepoint/syscalls/sys_exit_chmod")
int chmod_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_CHMOD,
		.ret = ctx->ret,
		.dir = AT_FDCWD,
		.name = (void *)SYSCALL_ARG_0(regs),
		.mode = SYSCALL_ARG_1(regs),
	};

	return path_exit(&call);
}

// The descriptor says exactly which file it was.
static __noinline int fd_chmod_exit(__s64 ret, __s32 fd, __u32 mode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch;
	struct file *file;

	if (!wanted(PICKET_FILE_CHMOD) || is_self() || ret == -EBADF)
		return 0;
	file = file_of(task, fd);
	if (!file)
		return 0;
	scratch = file_start(PICKET_FILE_CHMOD, task);
	if (!scratch)
		return 0;
	scratch->file.error = -ret;
	scratch->file.mode = mode & 07777;
	text_path(scratch, &scratch->file.texts[PICKET_FILE_PATH], BPF_CORE_READ(file, f_path.mnt),
		  BPF_CORE_READ(file, f_path.dentry));
	file_output(scratch);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_fchmod")
int fchmod_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();

	return fd_chmod_exit(ctx->ret, SYSCALL_ARG_0(regs), SYSCALL_ARG_1(regs));
}

SEC("tracepoint/syscalls/sys_exit_fchmodat")
int fchmodat_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_CHMOD,
		.ret = ctx->ret,
		.dir = SYSCALL_ARG_0(regs),
		.name = (void *)SYSCALL_ARG_1(regs),
		.mode = SYSCALL_ARG_2(regs),
	};

	return path_exit(&call);
}

SEC("tracepoint/syscalls/sys_exit_fchmodat2")
int fchmodat2_exit(struct sys_exit_ctx *ctx)
{
	struct pt_regs *regs = caller_regs();
	struct named call = {
		.kind = PICKET_FILE_CHMOD,
		.ret = ctx->ret,
		.dir = SYSCALL_ARG_0(regs),
		.name = (void *)SYSCALL_ARG_1(regs),
		.mode = SYSCALL_ARG_2(regs),
	};
	char first = 0;

	// With AT_EMPTY_PATH it is fchmod by another name.
	if (SYSCALL_ARG_3(regs) & AT_EMPTY_PATH) {
		if (bpf_probe_read_user(&first, 1, call.name) || !first)
			return fd_chmod_exit(ctx->ret, call.dir, call.mode);
	}
	return path_exit(&call);
}
