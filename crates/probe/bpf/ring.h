// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The maps, and the way out to user space: nothing is lost without being counted.
#pragma once

#include "core.h"
#include "wire.h"

#define IPPROTO_ANY_UDP(protocol) ((protocol) == IPPROTO_UDP || (protocol) == IPPROTO_UDPLITE)
#define IPPROTO_ANY_TCP(protocol) ((protocol) == IPPROTO_TCP || (protocol) == IPPROTO_MPTCP)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20); // the loader sets the real size
} events SEC(".maps");

// Records with a decision that found no room in `events`: what was done to a
// process must be told, whatever floods the ring.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} decided SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PICKET_KINDS);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PICKET_PLACES);
	__type(key, __u32);
	__type(value, __u64);
} errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PICKET_SETTINGS);
	__type(key, __u32);
	__type(value, __u64);
} picket_settings SEC(".maps");

static __u64 last_wake_ns;

static __always_inline __u64 setting(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&picket_settings, &which);

	return value ? *(volatile __u64 *)value : 0;
}

static __always_inline void count_drop(__u32 kind)
{
	__u64 *count = bpf_map_lookup_elem(&drops, &kind);

	if (count)
		(*count)++;
}

static __always_inline void count_error(__u32 place)
{
	__u64 *count = bpf_map_lookup_elem(&errors, &place);

	if (count)
		(*count)++;
}

static __always_inline bool wanted(__u32 kind)
{
	return setting(PICKET_SET_CLASSES) >> kind & 1;
}

static __always_inline __u64 wake_flags(__u32 kind, __u64 now)
{
	if (setting(PICKET_SET_URGENT) >> kind & 1)
		return BPF_RB_FORCE_WAKEUP;
	// A wake costs more than a record, so a busy host wakes by the clock; a
	// quiet one still hears of each event at once.
	// Two CPUs may both see an old value and both wake: harmless.
	if (now - *(volatile __u64 *)&last_wake_ns <
	    setting(PICKET_SET_WAKE_INTERVAL_NS))
		return BPF_RB_NO_WAKEUP;
	*(volatile __u64 *)&last_wake_ns = now;
	return BPF_RB_FORCE_WAKEUP;
}

// A record of fixed size, in place; NULL is already counted.
static __always_inline void *record_reserve(__u32 kind, __u32 size)
{
	void *record = bpf_ringbuf_reserve(&events, size, 0);

	if (!record)
		count_drop(kind);
	return record;
}

static __always_inline void record_submit(struct picket_record *head)
{
	bpf_ringbuf_submit(head, wake_flags(head->kind, head->boot_ns));
}

// A record of any size, copied out of a scratch area; `verdict` is its own.
static __always_inline void record_output(struct picket_record *head, __u32 size,
					  struct picket_verdict *verdict)
{
	__u64 flags = wake_flags(head->kind, head->boot_ns);

	head->size = size;
	// Somebody must be killed from there, or it must be found out whether.
	if (verdict->undecided || verdict->done & PICKET_DONE_KILL_WANTED ||
	    (verdict->triggered && verdict->spared == PICKET_SPARED_UNKNOWN))
		flags = BPF_RB_FORCE_WAKEUP;
	if (!bpf_ringbuf_output(&events, head, size, flags))
		return;
	if (verdict->triggered && !bpf_ringbuf_output(&decided, head, size, flags))
		return;
	count_drop(head->kind);
}
