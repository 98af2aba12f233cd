// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// What a process runs, for exec records and for what already ran.
#pragma once

#include "path.h"
#include "task.h"

static __always_inline __u64 inode_mtime_ns(struct inode *inode)
{
	struct inode___6_7 *newer = (void *)inode;
	struct inode___6_6 *older = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return BPF_CORE_READ(inode, i_mtime_sec) * 1000000000ULL +
		       BPF_CORE_READ(inode, i_mtime_nsec);
	if (bpf_core_field_exists(newer->__i_mtime))
		return BPF_CORE_READ(newer, __i_mtime.tv_sec) * 1000000000ULL +
		       BPF_CORE_READ(newer, __i_mtime.tv_nsec);
	return BPF_CORE_READ(older, i_mtime.tv_sec) * 1000000000ULL +
	       BPF_CORE_READ(older, i_mtime.tv_nsec);
}

static __always_inline void image_identity(struct picket_exec *exec, struct inode *inode)
{
	struct super_block *super = BPF_CORE_READ(inode, i_sb);

	exec->inode = BPF_CORE_READ(inode, i_ino);
	exec->device = BPF_CORE_READ(super, s_dev);
	exec->links = BPF_CORE_READ(inode, i_nlink);
	exec->mtime_ns = inode_mtime_ns(inode);
	if (exec->links == 0)
		exec->flags |= PICKET_EXEC_DELETED;
	if (BPF_CORE_READ(super, s_magic) == OVERLAYFS_SUPER_MAGIC) {
		// struct ovl_inode keeps the upper layer's dentry right behind
		// the inode; its type is the module's own.
		void *upper = NULL;

		bpf_probe_read_kernel(&upper, sizeof(upper),
				      (void *)inode + bpf_core_type_size(struct inode));
		if (upper)
			exec->flags |= PICKET_EXEC_UPPER_LAYER;
	}
}

// A cgroup of a v1 controller, or NULL where the task is in its root.
#define V1_CGROUP(set, id)                                                                         \
	({                                                                                         \
		struct cgroup *found = NULL;                                                       \
		if (bpf_core_enum_value_exists(enum cgroup_subsys_id, id)) {                       \
			struct cgroup_subsys_state *state = NULL;                                  \
			bpf_probe_read_kernel(                                                     \
				&state, sizeof(state),                                             \
				(void *)(set) + bpf_core_field_offset(struct css_set, subsys) +    \
					bpf_core_enum_value(enum cgroup_subsys_id, id) *           \
						sizeof(state));                                    \
			found = BPF_CORE_READ(state, cgroup);                                      \
			if (BPF_CORE_READ(found, level) == 0)                                      \
				found = NULL;                                                      \
		}                                                                                  \
		found;                                                                             \
	})

// The cgroup that names the container: the v2 one, or on a hybrid host that
// leaves everybody in the v2 root, a v1 controller's.
static __always_inline void walk_task_cgroup(struct walk *walk, struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup *cgroup = BPF_CORE_READ(set, dfl_cgrp);
	struct cgroup *other = NULL;

	if (BPF_CORE_READ(cgroup, level) == 0) {
		other = V1_CGROUP(set, memory_cgrp_id);
		if (!other)
			other = V1_CGROUP(set, pids_cgrp_id);
		if (!other)
			other = V1_CGROUP(set, cpu_cgrp_id);
		if (!other)
			other = V1_CGROUP(set, devices_cgrp_id);
		if (!other)
			other = V1_CGROUP(set, cpuset_cgrp_id);
	}
	if (!other)
		other = cgroup;
	walk_cgroup(walk, BPF_CORE_READ(other, kn));
}

// Everything but FILENAME, INTERPRETER and ARGS. The texts go to the tail in
// the order of their enumerators, so the caller fills in its own between.
static __always_inline void image_start(struct scratch *scratch, struct task_struct *task)
{
	struct picket_exec *exec = &scratch->exec;
	const struct cred *cred;

	exec->flags = 0;
	exec->reserved = 0;
	exec->more_reserved = 0;
	__builtin_memset(&exec->verdict, 0, sizeof(exec->verdict));
	exec->inode = 0;
	exec->device = 0;
	exec->links = 0;
	exec->mtime_ns = 0;
	exec->capabilities = 0;
	cred = BPF_CORE_READ(task, cred);
	bpf_core_read(&exec->capabilities, sizeof(exec->capabilities), &cred->cap_effective);
}

static __always_inline void image_surroundings(struct scratch *scratch, struct task_struct *task)
{
	struct picket_text *texts = scratch->exec.texts;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);

	if (fs)
		text_path(scratch, &texts[PICKET_EXEC_CWD], BPF_CORE_READ(fs, pwd.mnt),
			  BPF_CORE_READ(fs, pwd.dentry));
	else
		text_mark(&texts[PICKET_EXEC_CWD], PICKET_ABSENT);
	if (tty)
		text_kernel(scratch, &texts[PICKET_EXEC_TTY], &tty->name);
	else
		text_mark(&texts[PICKET_EXEC_TTY], PICKET_ABSENT);
	walk_task_cgroup(&scratch->walk, task);
	text_walked(scratch, &texts[PICKET_EXEC_CGROUP]);
}

// How many bytes of arguments to read.
static __always_inline __u32 args_len(struct mm_struct *mm, struct picket_text *text)
{
	__u64 len = BPF_CORE_READ(mm, arg_end) - BPF_CORE_READ(mm, arg_start);

	text->len = 0;
	text->reserved = 0;
	text->known = PICKET_KNOWN;
	if (len > PICKET_TEXT_MAX) {
		text->known = PICKET_TRUNCATED;
		len = PICKET_TEXT_MAX;
	}
	return len;
}

static __always_inline void args_done(struct scratch *scratch, struct picket_text *text, __u32 len,
				      long error)
{
	if (error) {
		text_mark(text, PICKET_UNKNOWN);
		count_error(PICKET_AT_ARGS);
		return;
	}
	text->len = len;
	scratch->tail_used += len;
}

static __always_inline __u32 exec_size(struct scratch *scratch)
{
	__u32 used = scratch->tail_used;

	if (used > TAIL_LIMIT + PICKET_TEXT_MAX)
		used = TAIL_LIMIT + PICKET_TEXT_MAX;
	return sizeof(struct picket_exec) + used;
}
