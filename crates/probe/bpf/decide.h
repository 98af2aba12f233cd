// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// From the policies that an event sets off to what is done about it. Simulate
// and block part at the last step.
#pragma once

#include "program.h"
#include "task.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * PICKET_POLICIES);
	__type(key, __u32);
	__type(value, struct picket_policy);
} picket_policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PICKET_BUDGETS);
	__type(key, __u32);
	__type(value, struct picket_budget);
} picket_budgets SEC(".maps");

// Whether programs of cgroups may send a signal on this kernel, as they may
// since Linux 6.16; set before loading.
const volatile bool cgroup_can_kill SEC(".rodata.powers") = true;

// How a hook can end a process.
enum kill_way {
	KILL_NEVER, // not at all: user space must
	KILL_NOW,
	KILL_AT_EXIT, // when the hook's caller returns: see condemned.h
};

// What a hook can do.
struct powers {
	__u8 kill; // enum kill_way
	bool deny;
};

// Threads to be killed at the end of the hook they are in.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64); // pid_tgid
	__type(value, __u32);
} condemned SEC(".maps");

// Takes one action from the budget; false when there is none left. `tripped`
// tells that this very call found it used up.
//
// The n-th action is allowed if the one `actions` before it is older than the
// window. Whoever exchanges a time second sees the first's, so that no two
// processors can take the same one.
static __always_inline bool budget_charge(struct picket_policy *policy, bool *tripped)
{
	__u32 which = policy->budget & (PICKET_BUDGETS - 1);
	__u64 now = bpf_ktime_get_boot_ns() / 1000000;
	struct picket_budget *budget;
	__u64 since, used;
	__u32 slot;

	*tripped = false;
	if (!policy->actions)
		return true;
	budget = bpf_map_lookup_elem(&picket_budgets, &which);
	if (!budget)
		return false;
	since = *(volatile __u64 *)&budget->tripped_ms;
	if (since) {
		if (!policy->pause_ms || now - since < policy->pause_ms)
			return false;
		__sync_val_compare_and_swap(&budget->tripped_ms, since, 0);
	}
	slot = __sync_fetch_and_add(&budget->next, 1) % policy->actions;
	used = __sync_lock_test_and_set(&budget->used_ms[slot & (PICKET_BUDGET_ACTIONS - 1)], now);
	if (!used || now - used >= policy->window_ms)
		return true;
	*tripped = __sync_val_compare_and_swap(&budget->tripped_ms, 0, now) == 0;
	return false;
}

struct bench {
	struct judge *judge;
	struct process_state *actor;
	__u64 settled; // policies that an earlier hook has decided for
	__u32 half;
	__u32 deny; // not 0: this hook can
};

// One policy's decision.
static long decide_policy(__u32 index, struct bench *bench)
{
	struct picket_verdict *verdict = &bench->judge->verdict;
	struct picket_policy *policy;
	__u64 bit = 1ULL << (index & 63);
	__u32 which = bench->half * PICKET_POLICIES + index;
	bool tripped, ghost;

	if (!(verdict->triggered & ~bench->settled & bit))
		return 0;
	policy = bpf_map_lookup_elem(&picket_policies, &which);
	// What only denies, where that cannot be done, is left open.
	if (!policy || (!(policy->effects & PICKET_EFFECT_KILL) && !bench->deny))
		return 0;
	if (bench->deny)
		verdict->deniable |= bit;
	// Had it blocked, the process would not be there any more.
	ghost = !policy->blocks && bench->actor && (bench->actor->ghost & bit);
	if (!ghost && !budget_charge(policy, &tripped)) {
		verdict->over_budget |= bit;
		if (tripped)
			verdict->tripped |= bit;
		return 0;
	}
	if (policy->blocks && setting(PICKET_SET_DISARMED)) {
		verdict->disarmed |= bit;
	} else if (policy->blocks) {
		verdict->acted |= bit;
		bench->judge->effects |= policy->effects;
	} else {
		verdict->simulated |= bit;
		if (!ghost && bench->actor && (policy->effects & PICKET_EFFECT_KILL))
			__sync_fetch_and_or(&bench->actor->ghost, bit);
	}
	return 0;
}

// `head` says whose event it is; the process acts now, or acted when it gave the
// work to the kernel. `flags` are those of what it runs (enum process_flag).
static __always_inline __u8 spared(__u32 flags, struct picket_record *head)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = head->task.pid;

	if ((__u32)task->tgid == pid && task->flags & PF_KTHREAD)
		return PICKET_SPARED_KERNEL;
	if (pid == 1 || pid == setting(PICKET_SET_SELF))
		return PICKET_SPARED_PROTECTED;
	if (flags & PROCESS_PROTECTION_UNKNOWN)
		return PICKET_SPARED_UNKNOWN;
	if (flags & PROCESS_PROTECTED)
		return PICKET_SPARED_PROTECTED;
	return head->flags & PICKET_IN_SCOPE ? PICKET_NOT_SPARED : PICKET_SPARED_OUT_OF_SCOPE;
}

// bpf_get_current_pid_tgid(), which programs of packets lack on Linux 6.1.
static __always_inline __u64 current_thread(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return (__u64)(__u32)task->tgid << 32 | (__u32)task->pid;
}

static __always_inline __u8 end_current(__u8 way)
{
	__u64 thread = current_thread();
	__u32 since = 1;

	switch (way) {
	case KILL_NOW:
		return bpf_send_signal(SIGKILL) ? PICKET_DONE_KILL_FAILED : PICKET_DONE_KILLED;
	case KILL_AT_EXIT:
		return bpf_map_update_elem(&condemned, &thread, &since, BPF_ANY) ?
			       PICKET_DONE_KILL_WANTED :
			       PICKET_DONE_KILLED;
	default:
		return PICKET_DONE_KILL_WANTED;
	}
}

// What a security hook decided about the operation that the thread is in, for
// the hook that sees its end.
struct judged {
	__u32 kind; // enum picket_kind
	__u32 reserved;
	struct picket_verdict verdict;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64); // pid_tgid
	__type(value, struct judged);
} judged SEC(".maps");

// Takes over what was decided before: sets are joined, one bit a policy.
static __always_inline void verdict_join(struct picket_verdict *verdict,
					 struct picket_verdict *before)
{
	verdict->triggered |= before->triggered;
	verdict->over_budget |= before->over_budget;
	verdict->tripped |= before->tripped;
	verdict->disarmed |= before->disarmed;
	verdict->simulated |= before->simulated;
	verdict->acted |= before->acted;
	verdict->deniable |= before->deniable;
	verdict->done |= before->done;
	if (!verdict->spared)
		verdict->spared = before->spared;
	if (!verdict->took_ns)
		verdict->took_ns = before->took_ns;
	// What held before its end was known holds still, if nothing else does.
	if (!verdict->matched) {
		verdict->matched = before->matched;
		__builtin_memcpy(verdict->rules, before->rules, sizeof(verdict->rules));
	}
}

// Decides about what judge->verdict holds so far, and carries it out. `head` is
// that of the event. Returns whether to refuse.
static __always_inline bool decide_as(struct judge *judge, struct process_state *actor, __u32 flags,
				      struct picket_record *head, struct powers powers)
{
	struct picket_verdict *verdict = &judge->verdict;
	struct bench bench = { .judge = judge, .actor = actor, .half = judge->half & 1 };
	__u64 thread = current_thread();
	struct judged *before = NULL;

	if (setting(PICKET_SET_LSM) >> (head->kind & 31) & 1 && !powers.deny) {
		before = bpf_map_lookup_elem(&judged, &thread);
		if (before && before->kind == head->kind)
			bench.settled = before->verdict.triggered;
	}
	bench.deny = powers.deny;
	// A kill that this hook cannot carry out is no less decided here.
	verdict->kills_here = powers.kill != KILL_NEVER;
	if (verdict->triggered & ~bench.settled) {
		verdict->spared = spared(flags, head);
		judge->effects = 0;
		if (!verdict->spared)
			bpf_loop(PICKET_POLICIES, decide_policy, &bench, 0);
		if (judge->effects & PICKET_EFFECT_DENY && powers.deny)
			verdict->done |= PICKET_DONE_DENIED;
		// Before the kill: where it is sent by an interrupt, whatever else waited
		// for one runs too before that returns.
		verdict->took_ns = bpf_ktime_get_boot_ns() - head->boot_ns;
		if (judge->effects & PICKET_EFFECT_KILL)
			verdict->done |= end_current(powers.kill);
	}
	if (before) {
		if (before->kind == head->kind)
			verdict_join(verdict, &before->verdict);
		bpf_map_delete_elem(&judged, &thread);
	}
	return verdict->done & PICKET_DONE_DENIED;
}

// The same for what the actor does as what it is.
static __always_inline bool decide(struct judge *judge, struct process_state *actor,
				   struct picket_record *head, struct powers powers)
{
	__u32 flags = actor ? actor->flags : PROCESS_PROTECTION_UNKNOWN;

	return decide_as(judge, actor, flags, head, powers);
}
