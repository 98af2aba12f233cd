// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Fork, exec, exit.
#pragma once

#include "exec_rules.h"

// Programs may outlive their sensor; whoever gets its process id must not be
// taken for it.
static __always_inline void self_exit(__u32 pid)
{
	__u32 key = PICKET_SET_SELF;
	__u64 nobody = 0;

	if (setting(PICKET_SET_SELF) == pid)
		bpf_map_update_elem(&picket_settings, &key, &nobody, BPF_ANY);
}

// include/trace/events/sched.h
SEC("tp_btf/sched_process_fork")
int process_fork(__u64 *ctx)
{
	struct task_struct *child = (void *)ctx[1];
	struct picket_fork *fork;

	// A new thread is not a new process.
	if (child->pid != child->tgid)
		return 0;
	fork_judge(child, bpf_get_current_pid_tgid() >> 32);
	fork = record_reserve(PICKET_FORK, sizeof(*fork));
	if (!fork)
		return 0;
	head_fill(&fork->head, PICKET_FORK, sizeof(*fork), bpf_get_current_task_btf());
	fork->child_pid = child->tgid;
	fork->child_start_ns = child->start_boottime;
	fork->reserved = 0;
	record_submit(&fork->head);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int process_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct picket_exit *exit;

	// do_exit counted this thread out already. (Two last threads that end
	// at the same moment can both pass: the record may come twice.)
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	exit_judge(task->tgid);
	self_exit(task->tgid);
	exit = record_reserve(PICKET_EXIT, sizeof(*exit));
	if (!exit)
		return 0;
	head_fill(&exit->head, PICKET_EXIT, sizeof(*exit), bpf_get_current_task_btf());
	exit->code = task->exit_code;
	exit->reserved = 0;
	record_submit(&exit->head);
	return 0;
}

// A thread that executes takes its leader's id. What a security hook decided for it
// stands under the one that it had.
static __always_inline void judged_follow(struct task_struct *task, __u32 old_tid)
{
	__u64 before = (__u64)(__u32)task->tgid << 32 | old_tid;
	__u64 now = current_thread();
	struct judged *found;

	if (before == now)
		return;
	found = bpf_map_lookup_elem(&judged, &before);
	if (!found)
		return;
	if (bpf_map_update_elem(&judged, &now, found, BPF_ANY))
		count_error(PICKET_AT_JUDGE);
	bpf_map_delete_elem(&judged, &before);
}

SEC("tp_btf/sched_process_exec")
int process_exec(__u64 *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct linux_binprm *bprm = (void *)ctx[2];
	struct scratch *scratch = scratch_take(SCRATCH_EXEC);
	struct file *file = BPF_CORE_READ(bprm, file);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct picket_text *texts;
	char *end;
	__u32 len;

	judged_follow(task, (__u32)ctx[1]);
	if (!scratch) {
		count_drop(PICKET_EXEC);
		return 0;
	}
	texts = scratch->exec.texts;
	head_fill(&scratch->exec.head, PICKET_EXEC, 0, task);
	image_start(scratch, task);
	image_identity(&scratch->exec, BPF_CORE_READ(file, f_inode));
	text_path(scratch, &texts[PICKET_EXEC_PATH], BPF_CORE_READ(file, f_path.mnt),
		  BPF_CORE_READ(file, f_path.dentry));
	text_kernel(scratch, &texts[PICKET_EXEC_FILENAME],
		    BPF_CORE_READ(bprm, filename));
	// The kernel replaces the pointer when a script names its interpreter.
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		text_kernel(scratch, &texts[PICKET_EXEC_INTERPRETER], BPF_CORE_READ(bprm, interp));
	else
		text_mark(&texts[PICKET_EXEC_INTERPRETER], PICKET_ABSENT);
	image_surroundings(scratch, task);

	len = args_len(mm, &texts[PICKET_EXEC_ARGS]);
	end = tail_end(scratch);
	if (len > PICKET_TEXT_MAX)
		len = PICKET_TEXT_MAX;
	args_done(scratch, &texts[PICKET_EXEC_ARGS], len,
		  end ? bpf_probe_read_user(end, len, (void *)BPF_CORE_READ(mm, arg_start)) : -1);

	exec_judge(scratch);
	record_output(&scratch->exec.head, exec_size(scratch), &scratch->exec.verdict);
	return 0;
}
