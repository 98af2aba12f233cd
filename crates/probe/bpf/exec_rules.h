// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Rules on process.exec; what is kept of a process through fork, exec and exit.
#pragma once

#include "rules.h"
#include "subject.h"

// What the parent's units say, as far as it can be read while the parent may
// execute: its state may be replaced, and its memory used again.
static __always_inline void parent_units(struct judge *judge, __u32 ppid)
{
	struct process_state *state;
	__u64 serial;

	judge->parent = ppid ? PICKET_UNKNOWN : PICKET_ABSENT;
	state = ppid ? state_of(ppid, judge->half) : NULL;
	if (!state)
		return;
	serial = *(volatile __u64 *)&state->serial;
	__builtin_memcpy(judge->parent_true, state->own_true, sizeof(judge->parent_true));
	__builtin_memcpy(judge->parent_maybe, state->own_maybe, sizeof(judge->parent_maybe));
	judge->parent_words = state->own_words;
	asm volatile("" ::: "memory");
	if (*(volatile __u64 *)&state->serial == serial)
		judge->parent = PICKET_KNOWN;
}

// After image_units: the rules on the new image.
static __always_inline void exec_rules(struct judge *judge, struct picket_record *head,
				       struct process_state *actor)
{
	__u8 *tables = tables_of(judge->half);

	if (!tables)
		return;
	judge->verdict.tables = TABLE_HEAD(tables)->version;
	if (!(TABLE_HEAD(tables)->kinds >> PICKET_EXEC & 1))
		return;
	parent_units(judge, head->task.ppid);
	rules_start(judge, actor);
	actor_numbers(judge, &head->task);
	programs_run(judge, actor, LEVEL_RULES);
}

// A unit that tells the protected set: bit 0 for certain, bit 1 maybe.
static __always_inline __u32 protects(struct court *court, __u32 which)
{
	__u32 unit = TABLE_HEAD(court->tables)->protected_units[which];

	if (!unit--)
		return 0;
	return has_bit(court->judge->unit_true, unit, WORDS(PICKET_UNITS)) |
	       has_bit(court->judge->unit_maybe, unit, WORDS(PICKET_UNITS)) << 1;
}

// What the new image is to the protected set.
__noinline int image_flags(struct judge *judge, struct process_state *before)
{
	__u32 file, name, runtime, copy = 0, flags = 0;
	COURT(court, judge);

	file = protects(&court, PICKET_PROTECTS_FILE);
	name = protects(&court, PICKET_PROTECTS_NAME);
	runtime = protects(&court, PICKET_PROTECTS_RUNTIME);
	// Anybody can give a memfd that name: it counts where a runtime executes it.
	if (before && before->flags & PROCESS_RUNTIME)
		copy = protects(&court, PICKET_PROTECTS_COPY);
	if ((file | name | copy) & 1)
		flags |= PROCESS_PROTECTED;
	else if (file | name | copy)
		flags |= PROCESS_PROTECTION_UNKNOWN;
	if ((runtime | copy) & 1)
		flags |= PROCESS_RUNTIME;
	return flags;
}

// Puts what was found of the new image together, for state_put. (Linux 6.1 takes
// no value for a map from a function's argument.)
__noinline int image_keep(struct judge *judge, struct process_state *before,
			  struct picket_task *task, __u32 flags)
{
	struct process_state *next;

	if (!judge || !task)
		return 0;
	next = &judge->next;
	next->serial = next_serial();
	next->start_ns = task->start_ns;
	__builtin_memcpy(next->own_true, judge->unit_true, sizeof(next->own_true));
	__builtin_memcpy(next->own_maybe, judge->unit_maybe, sizeof(next->own_maybe));
	if (before) {
		__builtin_memcpy(next->line_true, before->line_true, sizeof(next->line_true));
		__builtin_memcpy(next->line_maybe, before->line_maybe, sizeof(next->line_maybe));
		next->line_words = before->line_words;
		next->ghost = before->ghost;
	} else {
		__builtin_memset(next->line_true, 0, sizeof(next->line_true));
		__builtin_memset(next->line_maybe, 0xff, sizeof(next->line_maybe));
		next->line_words = 0xffff;
		next->ghost = 0;
	}
	next->flags = flags;
	next->own_words = judge->unit_words;
	return 0;
}

static __noinline int exec_in(struct scratch *scratch, struct judge *judge, __u32 half, bool decides)
{
	struct process_state *actor = state_of(scratch->exec.head.task.pid, half);
	__u32 flags;

	judge->half = half;
	image_units(judge, scratch);
	flags = image_flags(judge, actor);
	if (decides) {
		exec_rules(judge, &scratch->exec.head, actor);
		decide_as(judge, actor, flags, &scratch->exec.head,
			  (struct powers){ .kill = KILL_NOW });
		scratch->exec.verdict = judge->verdict;
	}
	image_keep(judge, actor, &scratch->exec.head.task, flags);
	state_put(scratch->exec.head.task.pid, half, &judge->next);
	return 0;
}

// Judges the image that scratch->exec describes, which is the current task's.
static __always_inline void exec_judge(struct scratch *scratch)
{
	__u64 half = setting(PICKET_SET_TABLES);
	__u64 next = setting(PICKET_SET_NEXT_TABLES);
	struct judge *judge;

	if (!half && !next)
		return;
	judge = judge_take(JUDGE_PROCESS);
	if (!judge) {
		count_error(PICKET_AT_JUDGE);
		return;
	}
	if (half)
		exec_in(scratch, judge, (half - 1) & 1, true);
	if (next)
		exec_in(scratch, judge, (next - 1) & 1, false);
}

static __noinline int fork_in(struct judge *judge, __u32 half, __u32 child, __u64 start_ns, __u32 parent)
{
	struct process_state *from = state_of(parent, half);
	struct process_state *next = &judge->next;

	if (!from)
		return 0;
	__builtin_memcpy(next, from, sizeof(*next));
	next->serial = next_serial();
	next->start_ns = start_ns;
	for (int i = 0; i < WORDS(PICKET_KEPT_UNITS); i++) {
		next->line_true[i] |= next->own_true[i];
		next->line_maybe[i] |= next->own_maybe[i];
	}
	next->line_words |= next->own_words;
	state_put(child, half, next);
	return 0;
}

// A child begins with its creator's image, whose ancestors it inherits.
static __always_inline void fork_judge(struct task_struct *child, __u32 parent)
{
	__u64 half = setting(PICKET_SET_TABLES);
	__u64 next = setting(PICKET_SET_NEXT_TABLES);
	struct judge *judge;

	if (!half && !next)
		return;
	judge = judge_take(JUDGE_PROCESS);
	if (!judge) {
		count_error(PICKET_AT_JUDGE);
		return;
	}
	if (half)
		fork_in(judge, (half - 1) & 1, child->tgid, child->start_boottime, parent);
	if (next)
		fork_in(judge, (next - 1) & 1, child->tgid, child->start_boottime, parent);
}

static __always_inline void exit_judge(__u32 pid)
{
	__u64 half = setting(PICKET_SET_TABLES);
	__u64 next = setting(PICKET_SET_NEXT_TABLES);

	if (half)
		state_drop(pid, (half - 1) & 1);
	if (next)
		state_drop(pid, (next - 1) & 1);
}
