// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// What was found of a process when it executed, kept for as long as it lives
// and inherited by what it forks: in every later event of the process a rule's
// question about its actor or its ancestors is one bit.
#pragma once

#include "ring.h"
#include "tables.h"

// Bits of process_state.flags.
enum process_flag {
	PROCESS_PROTECTED = 1,
	PROCESS_PROTECTION_UNKNOWN = 2,
	PROCESS_RUNTIME = 4, // a container runtime, or its copy of itself
};

// A value is replaced, never changed in place (but for `ghost`): whoever reads
// it while its owner executes sees the old one or the new one.
struct process_state {
	__u64 serial; // of this value: tells whether it was used again while it was read
	__u64 start_ns;
	__u64 own_true[PICKET_KEPT_UNITS / 64];
	__u64 own_maybe[PICKET_KEPT_UNITS / 64];
	__u64 line_true[PICKET_KEPT_UNITS / 64];
	__u64 line_maybe[PICKET_KEPT_UNITS / 64];
	__u64 ghost; // policies that would have killed it, or a process it descends from
	__u32 flags;
	// Which words of own_maybe and of line_maybe are not empty.
	__u16 own_words;
	__u16 line_words;
};

// The process, and which half of `tables` its bits are numbered by.
struct state_key {
	__u32 pid;
	__u32 half;
};

// Not by task storage: the programs of cgroup hooks cannot read it everywhere,
// and a thread that executes takes its leader's number but not its storage.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct state_key);
	__type(value, struct process_state);
} states SEC(".maps");

static __u64 last_serial;

static __always_inline __u64 next_serial(void)
{
	return __sync_fetch_and_add(&last_serial, 1) + 1;
}

static __always_inline struct process_state *state_of(__u32 pid, __u32 half)
{
	struct state_key key = { .pid = pid, .half = half };

	return bpf_map_lookup_elem(&states, &key);
}

static __always_inline void state_put(__u32 pid, __u32 half, struct process_state *state)
{
	struct state_key key = { .pid = pid, .half = half };

	if (bpf_map_update_elem(&states, &key, state, BPF_ANY))
		count_error(PICKET_AT_STATE);
}

static __always_inline void state_drop(__u32 pid, __u32 half)
{
	struct state_key key = { .pid = pid, .half = half };

	bpf_map_delete_elem(&states, &key);
}
