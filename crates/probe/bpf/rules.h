// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Rules on an event: which of them may hold, by what was kept of the processes
// it speaks of and by what was found of the event itself.
#pragma once

#include "decide.h"

// The rules filed under the units that hold, or may.
static __always_inline long spread_units(struct court *court, __u32 size)
{
	struct judge *judge = court->judge;
	__s32 unit;

	if (judge->list_left) {
		judge_candidate(judge, take_entry(judge, court->tables));
		return 0;
	}
	if (!judge->rest && !judge->set_words)
		return 1;
	unit = take_bit_of(judge, &judge->set_words, court->set, size, true);
	if (unit >= 0)
		judge_list(judge, court->tables, judge->lists, unit);
	return 0;
}

static long spread_kept_units(__u32 index, struct court *court)
{
	return spread_units(court, WORDS(PICKET_KEPT_UNITS));
}

static long spread_all_units(__u32 index, struct court *court)
{
	return spread_units(court, WORDS(PICKET_UNITS));
}

// False where no rule is filed under any of them.
static __always_inline bool spread_start(struct court *court, __u32 space, __u64 *set, __u64 words)
{
	struct judge *judge = court->judge;

	judge->lists = TABLE_HEAD(court->tables)->unit_lists[space];
	judge->rest = 0;
	judge->list_left = 0;
	judge->set_words = words & TABLE_HEAD(court->tables)->unit_words[space];
	court->set = set;
	return judge->set_words != 0;
}

static __noinline int spread_kept(struct court *court, __u32 space, __u64 *set, __u64 words)
{
	if (spread_start(court, space, set, words))
		bpf_loop(STEPS, spread_kept_units, court, 0);
	return 0;
}

// Nothing is known of the space's process.
static __noinline int space_unknown(struct court *court, __u32 space)
{
	judge_list(court->judge, court->tables, TABLE_HEAD(court->tables)->space_lists, space);
	bpf_loop(court->judge->list_left, add_candidates, court, 0);
	return 0;
}

// Rules that may hold whatever is found, and those that the actor, its
// ancestors and, of an image, its own units and its parent's bring.
__noinline int rules_start(struct judge *judge, struct process_state *actor)
{
	COURT(court, judge);

	__builtin_memcpy(judge->candidates, TABLE_HEAD(court.tables)->always_rules,
			 sizeof(TABLE_HEAD(court.tables)->always_rules));
	judge->candidate_words = TABLE_HEAD(court.tables)->always_rule_words;
	if (actor) {
		spread_kept(&court, PICKET_SPACE_ACTOR, actor->own_maybe, actor->own_words);
		spread_kept(&court, PICKET_SPACE_LINE, actor->line_maybe, actor->line_words);
	} else {
		count_error(PICKET_AT_STATE);
		space_unknown(&court, PICKET_SPACE_ACTOR);
		space_unknown(&court, PICKET_SPACE_LINE);
	}
	if (judge->kind != PICKET_EXEC)
		return 0;
	if (spread_start(&court, PICKET_SPACE_PROCESS, judge->unit_maybe, judge->unit_words))
		bpf_loop(STEPS, spread_all_units, &court, 0);
	if (judge->parent == PICKET_KNOWN) {
		spread_kept(&court, PICKET_SPACE_PARENT, judge->parent_maybe, judge->parent_words);
	} else {
		// Absent, units may hold of nothing.
		space_unknown(&court, PICKET_SPACE_PARENT);
	}
	return 0;
}

static __always_inline void actor_numbers(struct judge *judge, struct picket_task *task)
{
	number_is(judge, PICKET_NUMBER_USER, task->uid);
	// (uid_t)-1: it was never set.
	if (task->auid != (__u32)-1)
		number_is(judge, PICKET_NUMBER_AUID, task->auid);
}
