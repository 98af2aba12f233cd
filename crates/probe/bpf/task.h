// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The head of a record: who acts, in which cgroup and namespaces.
#pragma once

#include "ring.h"

static __always_inline __u32 task_pid_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct pid_namespace *ns = NULL;
	void *upid;

	// The last level is the task's own namespace. The array's length differs
	// between kernels, so the index is applied by hand.
	upid = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);
	if (bpf_probe_read_kernel(&ns, sizeof(ns), upid + bpf_core_field_offset(struct upid, ns)))
		return 0;
	return BPF_CORE_READ(ns, ns.inum);
}

// True when the task's cgroup lies at or below the scope's, or no scope is set.
static __always_inline bool task_in_scope(struct task_struct *task)
{
	// The slot is chosen last by user space: id and level always fit together.
	__u32 slot = setting(PICKET_SET_SCOPE) & 1;
	__u64 id = setting(slot ? PICKET_SET_SCOPE_ID_1 : PICKET_SET_SCOPE_ID_0);
	__u64 level = setting(slot ? PICKET_SET_SCOPE_LEVEL_1 : PICKET_SET_SCOPE_LEVEL_0);
	struct cgroup *ancestor = NULL;
	struct cgroup *cgroup;

	if (!id)
		return true;
	cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	if (level > (__u64)BPF_CORE_READ(cgroup, level))
		return false;
	if (bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				  (void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
					  level * sizeof(ancestor)))
		return false;
	return BPF_CORE_READ(ancestor, kn, id) == id;
}

// Pointers are read, not followed as the types they are: for each such step the
// verifier searches the whole kernel's types, which made loading take seconds.
static __noinline int task_fill(struct picket_task *out, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
	const struct cred *cred = BPF_CORE_READ(task, cred);

	out->pid = task->tgid;
	out->tid = task->pid;
	out->start_ns = BPF_CORE_READ(leader, start_boottime);
	out->ppid = BPF_CORE_READ(parent, tgid);
	out->parent_start_ns = BPF_CORE_READ(parent, start_boottime);
	out->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	out->uid = BPF_CORE_READ(cred, uid.val);
	out->gid = BPF_CORE_READ(cred, gid.val);
	out->euid = BPF_CORE_READ(cred, euid.val);
	out->auid = (__u32)-1;
	out->session = (__u32)-1;
	if (bpf_core_field_exists(task->loginuid))
		out->auid = task->loginuid.val;
	if (bpf_core_field_exists(task->sessionid))
		out->session = task->sessionid;
	out->pid_namespace = task_pid_namespace(task);
	out->mount_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	__builtin_memset(out->comm, 0, sizeof(out->comm));
	bpf_core_read_str(out->comm, sizeof(out->comm), &leader->comm);
	return 0;
}

static __always_inline void head_start(struct picket_record *head, __u32 kind, __u32 size)
{
	head->version = PICKET_WIRE_VERSION;
	head->kind = kind;
	head->flags = 0;
	head->size = size;
	head->boot_ns = bpf_ktime_get_boot_ns();
}

static __noinline int head_fill(struct picket_record *head, __u32 kind, __u32 size,
				struct task_struct *task)
{
	head_start(head, kind, size);
	if (task_in_scope(task))
		head->flags = PICKET_IN_SCOPE;
	task_fill(&head->task, task);
	return 0;
}
