// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// What already runs when the sensor starts: one record a process, written to
// the iterator's file.
#pragma once

#include "image.h"

// No kernel keeps more pairs.
#define AUXV_PAIRS 40

// Where the process keeps the name it was executed by: near the top of its
// stack, named by the auxiliary vector. The process can change it.
static __always_inline __u64 executed_name(struct mm_struct *mm)
{
	__u64 pair[2];

	for (int i = 0; i < AUXV_PAIRS; i++) {
		if (bpf_probe_read_kernel(pair, sizeof(pair),
					  (void *)mm + bpf_core_field_offset(struct mm_struct, saved_auxv) +
						  i * sizeof(pair)) ||
		    pair[0] == AT_NULL)
			return 0;
		if (pair[0] == AT_EXECFN)
			return pair[1];
	}
	return 0;
}

static __always_inline void text_executed_name(struct scratch *scratch, struct picket_text *text,
					       struct task_struct *task)
{
	__u64 name = executed_name(BPF_CORE_READ(task, mm));
	// Not past the page: behind the stack there may be nothing.
	__u32 len = PAGE_SIZE - (name & (PAGE_SIZE - 1));
	char *copy = scratch->walk.text;

	text_mark(text, PICKET_UNKNOWN);
	if (!name)
		return;
	asm volatile("" : "+r"(len));
	len = ((len - 1) & (PAGE_SIZE - 1)) + 1;
	// A name that goes on in the next page is marked as cut.
	copy[len] = 0;
	if (bpf_copy_from_user_task(copy, len, (void *)name, task, 0)) {
		count_error(PICKET_AT_TEXT);
		return;
	}
	text_kernel(scratch, text, copy);
	if (text->len >= len)
		text->known = PICKET_TRUNCATED;
}

SEC("iter.s/task")
int running(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct scratch *scratch;
	struct picket_text *texts;
	struct mm_struct *mm;
	struct file *file;
	char *end;
	__u32 len;

	if (!task || task->pid != task->tgid)
		return 0;
	scratch = scratch_take(SCRATCH_ITER);
	if (!scratch)
		return 0;
	texts = scratch->exec.texts;
	head_fill(&scratch->exec.head, PICKET_RUNNING, 0, task);
	image_start(scratch, task);
	mm = BPF_CORE_READ(task, mm);
	file = BPF_CORE_READ(mm, exe_file);
	if (file) {
		image_identity(&scratch->exec, BPF_CORE_READ(file, f_inode));
		text_path(scratch, &texts[PICKET_EXEC_PATH], BPF_CORE_READ(file, f_path.mnt),
			  BPF_CORE_READ(file, f_path.dentry));
	} else {
		// A kernel thread has no file; a dead leader has let go of it.
		text_mark(&texts[PICKET_EXEC_PATH],
			  task->flags & PF_KTHREAD ? PICKET_ABSENT : PICKET_UNKNOWN);
	}
	if (mm)
		text_executed_name(scratch, &texts[PICKET_EXEC_FILENAME], task);
	else
		text_mark(&texts[PICKET_EXEC_FILENAME],
			  task->flags & PF_KTHREAD ? PICKET_ABSENT : PICKET_UNKNOWN);
	// It was bprm's, which is gone.
	text_mark(&texts[PICKET_EXEC_INTERPRETER],
		  task->flags & PF_KTHREAD ? PICKET_ABSENT : PICKET_UNKNOWN);
	image_surroundings(scratch, task);

	if (mm) {
		len = args_len(mm, &texts[PICKET_EXEC_ARGS]);
		end = tail_end(scratch);
		if (len > PICKET_TEXT_MAX)
			len = PICKET_TEXT_MAX;
		args_done(scratch, &texts[PICKET_EXEC_ARGS], len,
			  end ? bpf_copy_from_user_task(end, len, (void *)BPF_CORE_READ(mm, arg_start), task, 0) :
				-1);
	} else {
		text_mark(&texts[PICKET_EXEC_ARGS],
			  task->flags & PF_KTHREAD ? PICKET_ABSENT : PICKET_UNKNOWN);
	}

	len = exec_size(scratch);
	scratch->exec.head.size = len;
	bpf_seq_write(ctx->meta->seq, &scratch->exec, len);
	return 0;
}

// Run once by the loader: the sensor's own process id, as the kernel counts. It
// gets no context; the argument carries the types into the object.
SEC("syscall")
int know_self(union picket_wire *types)
{
	__u32 key = PICKET_SET_SELF;
	__u64 self = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_update_elem(&picket_settings, &key, &self, BPF_ANY);
}
