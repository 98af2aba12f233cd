// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Security hooks, where the kernel has BPF LSM: they refuse what has not happened
// yet. What they decided is kept for the hook that sees the operation's end, which
// tells it; of what nobody else will see, they tell themselves.
//
// These programs can be preempted by each other, so they share no scratch area.
#pragma once

#include "exec_rules.h"
#include "file.h"

#define ELF_MAGIC 0x464c457f // linux/elf.h, little-endian
#define ELF_MACHINE 18 // offset of e_machine
#if defined(__TARGET_ARCH_x86)
#define NATIVE_MACHINE 62 // EM_X86_64
#define SYSCALL_EXECVE 59
#define SYSCALL_EXECVEAT 322
#define SYSCALL_IO_URING_ENTER 426
#define SYSCALL_NUMBER(regs) ((regs)->orig_ax)
#elif defined(__TARGET_ARCH_arm64)
#define NATIVE_MACHINE 183 // EM_AARCH64
#define SYSCALL_EXECVE 221
#define SYSCALL_EXECVEAT 281
#define SYSCALL_IO_URING_ENTER 426
#define SYSCALL_NUMBER(regs) ((__u32)(regs)->syscallno)
#endif
// The system calls whose end file.h looks at.
#if defined(__TARGET_ARCH_x86)
#define SYSCALLS_OPEN 2: case 85: case 257: case 437 // open, creat, openat, openat2
#define SYSCALLS_MKNOD 133: case 259 // mknod, mknodat
#define SYSCALLS_RENAME 82: case 264: case 316 // rename, renameat, renameat2
#define SYSCALLS_UNLINK 87: case 263 // unlink, unlinkat
#define SYSCALLS_CHMOD 90: case 91: case 268: case 452 // chmod, fchmod, fchmodat, fchmodat2
#define TS_COMPAT 0x0002 // asm/thread_info.h
#elif defined(__TARGET_ARCH_arm64)
#define SYSCALLS_OPEN 56: case 437
#define SYSCALLS_MKNOD 33
#define SYSCALLS_RENAME 38: case 276
#define SYSCALLS_UNLINK 35
#define SYSCALLS_CHMOD 52: case 53: case 452
#define TIF_32BIT 22 // asm/thread_info.h
#endif
#define PF_IO_WORKER 0x00000010 // linux/sched.h
// More arguments are told as cut off.
#define GIVEN_ARGS 64

// Does this kernel call BPF programs from its security hooks? A kernel can accept
// such a program and never call it. Loaded only to find that out.
SEC("lsm/file_open")
int lsm_file_open(__u64 *ctx)
{
	__u32 key = PICKET_SET_LSM_SEEN;
	__u64 seen = 1;

	if (setting(PICKET_SET_SELF) == bpf_get_current_pid_tgid() >> 32)
		bpf_map_update_elem(&picket_settings, &key, &seen, BPF_ANY);
	return 0;
}

static __always_inline void judged_put(__u32 kind, struct picket_verdict *verdict)
{
	__u64 thread = current_thread();
	struct judged value = { .kind = kind, .verdict = *verdict };

	if (bpf_map_update_elem(&judged, &thread, &value, BPF_ANY))
		count_error(PICKET_AT_JUDGE);
}

static __always_inline void judged_forget(void)
{
	__u64 thread = current_thread();

	bpf_map_delete_elem(&judged, &thread);
}

// Whether the thread does io_uring's work: no end of a system call tells of it.
static __always_inline bool in_io_uring(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->flags & PF_IO_WORKER ||
	       SYSCALL_NUMBER(caller_regs()) == SYSCALL_IO_URING_ENTER;
}

// Whether the thread is in a 32-bit system call, which has numbers of its own and
// no tracepoint.
static __always_inline bool in_old_call(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status & TS_COMPAT;
#elif defined(__TARGET_ARCH_arm64)
	return task->thread_info.flags >> TIF_32BIT & 1;
#endif
}

// Whether the end of the system call that the thread is in will tell of the
// operation. A file can be opened by an exec, for example.
static __always_inline bool end_tells(__u32 kind)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->flags & PF_IO_WORKER || in_old_call(task))
		return false;
	switch (SYSCALL_NUMBER(caller_regs())) {
	case SYSCALLS_OPEN:
		return kind == PICKET_FILE_OPEN || kind == PICKET_FILE_CREATE;
	case SYSCALLS_MKNOD:
		return kind == PICKET_FILE_CREATE;
	case SYSCALLS_RENAME:
		return kind == PICKET_FILE_RENAME;
	case SYSCALLS_UNLINK:
		return kind == PICKET_FILE_DELETE;
	case SYSCALLS_CHMOD:
		return kind == PICKET_FILE_CHMOD;
	default:
		return false;
	}
}

struct given {
	struct scratch *scratch;
	const char **argv;
	__u32 used;
	__u32 known;
};

static long given_arg(__u32 index, struct given *given)
{
	const char *arg = NULL;
	__u32 used = given->used;
	char *end = tail_end(given->scratch);
	long read;

	if (bpf_probe_read_user(&arg, sizeof(arg), given->argv + index))
		return 1;
	if (!arg) {
		given->known = PICKET_KNOWN;
		return 1;
	}
	if (!end || used >= PICKET_TEXT_MAX)
		return 1;
	read = bpf_probe_read_user_str(end, PICKET_TEXT_MAX, arg);
	if (read <= 0)
		return 1;
	// The text may be longer than one can be: then it is cut.
	if (used + read > PICKET_TEXT_MAX)
		read = PICKET_TEXT_MAX - used;
	given->used = used + read;
	given->scratch->tail_used += read;
	return read == PICKET_TEXT_MAX - used;
}

// The arguments as the caller gives them. Another thread may change them before
// the kernel takes its copy, so they serve to tell, not to decide.
static __always_inline void args_given(struct scratch *scratch)
{
	struct picket_text *text = &scratch->exec.texts[PICKET_EXEC_ARGS];
	struct pt_regs *regs = caller_regs();
	struct given given = { .scratch = scratch, .known = PICKET_TRUNCATED };

	text_mark(text, PICKET_UNKNOWN);
	switch (SYSCALL_NUMBER(regs)) {
	case SYSCALL_EXECVE:
		given.argv = (void *)SYSCALL_ARG_1(regs);
		break;
	case SYSCALL_EXECVEAT:
		given.argv = (void *)SYSCALL_ARG_2(regs);
		break;
	default:
		return;
	}
	bpf_loop(GIVEN_ARGS, given_arg, &given, 0);
	text->len = given.used;
	text->known = given.known;
}

// Whether the file is what will run: of a script, or what another program is
// registered for, it is not.
static __always_inline bool is_final(struct linux_binprm *bprm)
{
	__u32 magic = 0;
	__u16 machine = 0;

	bpf_core_read(&magic, sizeof(magic), &bprm->buf);
	bpf_probe_read_kernel(&machine, sizeof(machine),
			      (void *)bprm + bpf_core_field_offset(bprm->buf) + ELF_MACHINE);
	return magic == ELF_MAGIC && machine == NATIVE_MACHINE;
}

static __always_inline int exec_refuse(struct linux_binprm *bprm, struct scratch *scratch,
				       struct judge *judge)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = BPF_CORE_READ(bprm, file);
	struct picket_text *texts = scratch->exec.texts;
	struct process_state *actor;
	bool refused;
	__u32 flags;

	head_fill(&scratch->exec.head, PICKET_EXEC, 0, task);
	image_start(scratch, task);
	image_identity(&scratch->exec, BPF_CORE_READ(file, f_inode));
	text_path(scratch, &texts[PICKET_EXEC_PATH], BPF_CORE_READ(file, f_path.mnt),
		  BPF_CORE_READ(file, f_path.dentry));
	text_kernel(scratch, &texts[PICKET_EXEC_FILENAME], BPF_CORE_READ(bprm, filename));
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		text_kernel(scratch, &texts[PICKET_EXEC_INTERPRETER], BPF_CORE_READ(bprm, interp));
	else
		text_mark(&texts[PICKET_EXEC_INTERPRETER], PICKET_ABSENT);
	image_surroundings(scratch, task);
	text_mark(&texts[PICKET_EXEC_ARGS], PICKET_UNKNOWN);

	actor = state_of(scratch->exec.head.task.pid, judge->half);
	judge->before_exec = 1;
	image_units(judge, scratch);
	judge->before_exec = 0;
	flags = image_flags(judge, actor);
	exec_rules(judge, &scratch->exec.head, actor);
	refused = decide_as(judge, actor, flags, &scratch->exec.head,
			    (struct powers){ .kill = KILL_NOW, .deny = true });
	if (!refused) {
		if (judge->verdict.triggered)
			judged_put(PICKET_EXEC, &judge->verdict);
		return 0;
	}
	args_given(scratch);
	scratch->exec.flags |= PICKET_EXEC_REFUSED;
	scratch->exec.verdict = judge->verdict;
	record_output(&scratch->exec.head, exec_size(scratch), &scratch->exec.verdict);
	return -EPERM;
}

SEC("lsm/bprm_check_security")
int lsm_exec(__u64 *ctx)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	__u64 half = setting(PICKET_SET_TABLES);
	int earlier = (int)ctx[1];
	struct scratch *scratch;
	struct judge *judge;
	int result = 0;

	judged_forget();
	if (earlier || !half || !(setting(PICKET_SET_LSM) >> PICKET_EXEC & 1) || !is_final(bprm))
		return earlier;
	judge = judge_take_free();
	if (!judge) {
		count_error(PICKET_AT_JUDGE);
		return 0;
	}
	judge->half = (half - 1) & 1;
	scratch = scratch_take_free();
	if (scratch) {
		result = exec_refuse(bprm, scratch, judge);
		scratch_release(scratch);
	}
	judge_release(judge);
	return result;
}

// Judges what scratch->file says, which is about to happen. Returns whether to
// refuse.
static __noinline int file_refuse(struct scratch *scratch, struct judge *judge)
{
	struct process_state *actor;
	bool refused;

	actor = state_of(scratch->file.head.task.pid, judge->half);
	file_rules(judge, actor, scratch);
	refused = decide(judge, actor, &scratch->file.head,
			 (struct powers){ .kill = KILL_NOW, .deny = true });
	// Of io_uring, not even the submission was told: see io_uring.h.
	if (in_io_uring() || (judge->verdict.triggered && !end_tells(scratch->file.head.kind))) {
		if (refused) {
			scratch->file.error = EPERM;
			scratch->file.error_known = PICKET_KNOWN;
		}
		scratch->file.verdict = judge->verdict;
		file_tell(scratch);
	} else if (judge->verdict.triggered) {
		judged_put(scratch->file.head.kind, &judge->verdict);
	}
	return refused;
}

// What a security hook is asked about a file.
struct file_asked {
	struct path *dir; // NULL: the file itself
	struct path *file;
	struct dentry *name; // in `dir`
	struct path *from_dir;
	struct dentry *from;
	__u32 kind;
	__u32 mode;
	__u8 open;
};

// The path of an entry that need not exist: its folder's and its name.
static __always_inline void text_entry(struct scratch *scratch, __u32 base, struct path *dir,
				       struct dentry *name)
{
	struct picket_text *texts = &scratch->file.texts[base];

	text_path(scratch, &texts[0], BPF_CORE_READ(dir, mnt), BPF_CORE_READ(dir, dentry));
	text_kernel(scratch, &texts[1], BPF_CORE_READ(name, d_name.name));
}

static __noinline int file_ask(struct file_asked *asked)
{
	__u64 half = setting(PICKET_SET_TABLES);
	struct path *file = asked->file;
	struct scratch *scratch;
	struct judge *judge;
	int refused = 0;

	if (!half || !(setting(PICKET_SET_LSM) >> (asked->kind & 31) & 1) || is_self())
		return 0;
	judge = judge_take_free();
	if (!judge) {
		count_error(PICKET_AT_JUDGE);
		return 0;
	}
	judge->half = (half - 1) & 1;
	scratch = scratch_take_free();
	if (!scratch)
		goto out;
	file_head(scratch, asked->kind, bpf_get_current_task_btf());
	scratch->file.error_known = PICKET_UNKNOWN;
	scratch->file.mode = asked->mode;
	scratch->file.open = asked->open;
	if (asked->dir)
		text_entry(scratch, PICKET_FILE_DIR, asked->dir, asked->name);
	else
		text_path(scratch, &scratch->file.texts[PICKET_FILE_PATH],
			  BPF_CORE_READ(file, mnt), BPF_CORE_READ(file, dentry));
	if (asked->from_dir)
		text_entry(scratch, PICKET_FILE_FROM_DIR, asked->from_dir, asked->from);
	refused = file_refuse(scratch, judge);
	scratch_release(scratch);
out:
	judge_release(judge);
	return refused ? -EPERM : 0;
}

SEC("lsm/file_open")
int lsm_open(__u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	int earlier = (int)ctx[1];
	__u32 flags = BPF_CORE_READ(file, f_flags);
	__u32 mode = BPF_CORE_READ(file, f_mode);
	struct file_asked asked = {
		.file = (void *)file + bpf_core_field_offset(struct file, f_path),
		.kind = PICKET_FILE_OPEN,
		.open = open_bits(flags),
	};

	if (earlier || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFDIR)
		return earlier;
	// It was asked about before it was made; or it is the file below one of an
	// overlay, which was asked about.
	if (mode & (FMODE_CREATED | FMODE_NOACCOUNT))
		return 0;
	judged_forget();
	return file_ask(&asked);
}

// Also asked for an open that makes the file (may_o_create).
SEC("lsm/path_mknod")
int lsm_create(__u64 *ctx)
{
	__u32 type = (__u32)ctx[2] & S_IFMT;
	int earlier = (int)ctx[4];
	struct file_asked asked = {
		.dir = (void *)ctx[0],
		.name = (void *)ctx[1],
		.kind = PICKET_FILE_CREATE,
		.open = PICKET_OPEN_UNTOLD,
	};

	if (earlier || (type && type != S_IFREG))
		return earlier;
	judged_forget();
	return file_ask(&asked);
}

SEC("lsm/path_unlink")
int lsm_delete(__u64 *ctx)
{
	int earlier = (int)ctx[2];
	struct file_asked asked = {
		.dir = (void *)ctx[0],
		.name = (void *)ctx[1],
		.kind = PICKET_FILE_DELETE,
	};

	if (earlier)
		return earlier;
	judged_forget();
	return file_ask(&asked);
}

// Since 5.18 with flags. Their value is what an earlier hook said where there are
// none; both end in it.
static __always_inline int rename_ask(__u64 *ctx, int earlier)
{
	struct file_asked asked = {
		.from_dir = (void *)ctx[0],
		.from = (void *)ctx[1],
		.dir = (void *)ctx[2],
		.name = (void *)ctx[3],
		.kind = PICKET_FILE_RENAME,
	};

	if (earlier)
		return earlier;
	judged_forget();
	return file_ask(&asked);
}

SEC("lsm/path_rename")
int lsm_rename(__u64 *ctx)
{
	return rename_ask(ctx, (int)ctx[5]);
}

SEC("lsm/path_chmod")
int lsm_chmod(__u64 *ctx)
{
	int earlier = (int)ctx[2];
	struct file_asked asked = {
		.file = (void *)ctx[0],
		.mode = (__u32)ctx[1] & 07777,
		.kind = PICKET_FILE_CHMOD,
	};

	if (earlier)
		return earlier;
	judged_forget();
	return file_ask(&asked);
}

SEC("lsm/socket_listen")
int lsm_listen(__u64 *ctx)
{
	struct socket *socket = (void *)ctx[0];
	struct sock *sk = BPF_CORE_READ(socket, sk);
	int earlier = (int)ctx[2];
	struct process_state *actor;
	struct picket_listen *listen;
	struct judge *judge;
	bool refused;

	if (earlier)
		return earlier;
	judged_forget();
	if (!(setting(PICKET_SET_LSM) >> PICKET_LISTEN & 1) ||
	    !IPPROTO_ANY_TCP(BPF_CORE_READ(sk, sk_protocol)))
		return 0;
	judge = judge_begin(PICKET_LISTEN, sizeof(struct picket_listen));
	if (!judge)
		return 0;
	listen = &judge->record.listen;
	if (!listen_address(listen, sk) || !judge_sits(judge)) {
		judge_release(judge);
		return 0;
	}
	actor = state_of(listen->head.task.pid, judge->half);
	listen_rules(judge, actor);
	refused = decide(judge, actor, &listen->head,
			 (struct powers){ .kill = KILL_NOW, .deny = true });
	listen->verdict = judge->verdict;
	if (refused)
		record_output(&listen->head, sizeof(*listen), &listen->verdict);
	else if (judge->verdict.triggered)
		judged_put(PICKET_LISTEN, &judge->verdict);
	judge_release(judge);
	return refused ? -EPERM : 0;
}
