// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Records judged without an event: drives the kernel half beside the engine.
// Nothing is decided and nobody is touched.
#pragma once

#include "exec_rules.h"
#include "file_rules.h"

struct trial {
	__u32 half;
	__u32 size; // of the record
	__u64 certain[PICKET_RULES / 64];
	__u64 maybe[PICKET_RULES / 64];
	// The head is read in place.
	__u8 record[sizeof(struct picket_exec) + TAIL_LIMIT + PICKET_TEXT_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trial);
} trials SEC(".maps");

static __always_inline bool trial_read(struct trial *trial, void *to, __u32 head, __u32 room)
{
	__u32 size = trial->size;

	if (size < head)
		return false;
	// The comparison must stand as it is: it is what the verifier goes by.
	asm volatile("" : "+r"(size));
	if (size > room)
		return false;
	return !bpf_probe_read_kernel(to, size, trial->record);
}

static __always_inline int trial_judge(struct trial *trial, struct judge *judge,
				       struct scratch *scratch)
{
	struct picket_record *head = (void *)trial->record;
	struct process_state *actor;
	__u32 half = trial->half & 1;
	__u32 pid = head->task.pid;
	__u32 len;

	judge->half = half;
	actor = state_of(pid, half);
	switch (head->kind) {
	case PICKET_FORK:
		return fork_in(judge, half, ((struct picket_fork *)head)->child_pid,
			       ((struct picket_fork *)head)->child_start_ns, pid);
	case PICKET_EXEC:
		if (!trial_read(trial, &scratch->exec, sizeof(struct picket_exec),
				sizeof(trial->record)))
			return -1;
		image_units(judge, scratch);
		exec_rules(judge, &scratch->exec.head, actor);
		image_keep(judge, actor, &scratch->exec.head.task, image_flags(judge, actor));
		state_put(pid, half, &judge->next);
		return 0;
	case PICKET_CONNECT:
		judge->record.connect = *(struct picket_connect *)head;
		return !connect_rules(judge, actor);
	case PICKET_LISTEN:
		judge->record.listen = *(struct picket_listen *)head;
		return !listen_rules(judge, actor);
	case PICKET_DNS_QUERY:
		judge->record.dns = *(struct picket_dns *)head;
		len = judge->record.dns.payload_len & (2 * PICKET_DNS_SHORT - 1);
		if (bpf_probe_read_kernel(&judge->bytes[DNS_MESSAGE], len,
					  &trial->record[sizeof(struct picket_dns)]))
			return -1;
		return !dns_rules(judge, actor, len);
	default:
		// The file's record ends where the tail begins.
		if (!trial_read(trial, &scratch->file, sizeof(struct picket_file),
				sizeof(struct picket_file) + TAIL_LIMIT + PICKET_TEXT_MAX))
			return -1;
		file_rules(judge, actor, scratch);
		return 0;
	}
}

// What the engine's layout is compared with.
union picket_layout {
	struct picket_tables tables;
	struct picket_step step;
	struct picket_program program;
	struct picket_list list;
	struct picket_mask mask;
	struct picket_regex regex;
	struct picket_policy policy;
	struct picket_budget budget;
	enum picket_source_text text;
	enum picket_source_number number;
	enum picket_source_address address;
	enum picket_space space;
	enum picket_effect effect;
	enum process_flag process_flag;
};

// It gets no context; the argument carries the types into the object.
SEC("syscall")
int trial_run(union picket_layout *types)
{
	__u32 zero = 0;
	struct trial *trial = bpf_map_lookup_elem(&trials, &zero);
	struct judge *judge = judge_take(JUDGE_TRIAL);
	struct scratch *scratch = scratch_take(SCRATCH_TRIAL);
	int error;

	if (!trial || !judge || !scratch)
		return -1;
	__builtin_memset(judge->rule_true, 0, sizeof(judge->rule_true));
	__builtin_memset(judge->rule_maybe, 0, sizeof(judge->rule_maybe));
	error = trial_judge(trial, judge, scratch);
	__builtin_memcpy(trial->certain, judge->rule_true, sizeof(trial->certain));
	__builtin_memcpy(trial->maybe, judge->rule_maybe, sizeof(trial->maybe));
	return error;
}
