// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The conditions of units and rules: flat programs of leaves, each with what to
// do if it holds and if not.
//
// A program is run with unknown taken for true. If that fails it does not hold;
// if it holds and nothing unknown was met it does. Otherwise it is run again
// with unknown taken for false, and holds if that does; else it is undecided.
// Negations stand at the leaves only, so this is Kleene's answer.
#pragma once

#include "judge.h"

struct leaf {
	bool certain;
	bool maybe;
};

static __always_inline bool has_bit(__u64 *set, __u32 index, __u32 words)
{
	return set[index / 64 & (words - 1)] >> (index & 63) & 1;
}

static __always_inline struct leaf leaf_kept(struct process_state *state, bool line, __u32 index)
{
	struct leaf leaf = { .certain = false, .maybe = true };

	if (!state)
		return leaf;
	leaf.certain = has_bit(line ? state->line_true : state->own_true, index,
			       WORDS(PICKET_KEPT_UNITS));
	leaf.maybe = has_bit(line ? state->line_maybe : state->own_maybe, index,
			     WORDS(PICKET_KEPT_UNITS));
	return leaf;
}

static __always_inline struct leaf leaf_is(struct court *court, __u32 space, __u32 index)
{
	struct judge *judge = court->judge;
	__u8 *tables = court->tables;
	struct leaf leaf = { .certain = false, .maybe = true };
	__u32 source;

	switch (space) {
	case PICKET_SPACE_ATOM:
		leaf.certain = has_bit(judge->atoms, index, WORDS(PICKET_ATOMS));
		source = TABLE_U8(tables, TABLE_HEAD(tables)->atom_sources + index);
		leaf.maybe = leaf.certain || (judge->unknown[source / 64 & 1] >> (source & 63) & 1);
		break;
	case PICKET_SPACE_PROCESS:
		leaf.certain = has_bit(judge->unit_true, index, WORDS(PICKET_UNITS));
		leaf.maybe = has_bit(judge->unit_maybe, index, WORDS(PICKET_UNITS));
		break;
	case PICKET_SPACE_PARENT:
		if (judge->parent == PICKET_UNKNOWN)
			break;
		if (judge->parent == PICKET_ABSENT) {
			leaf.certain = has_bit(TABLE_HEAD(tables)->absent_units, index,
					       WORDS(PICKET_UNITS));
			leaf.maybe = leaf.certain;
			break;
		}
		leaf.certain = has_bit(judge->parent_true, index, WORDS(PICKET_KEPT_UNITS));
		leaf.maybe = has_bit(judge->parent_maybe, index, WORDS(PICKET_KEPT_UNITS));
		break;
	case PICKET_SPACE_ACTOR:
		return leaf_kept(court->actor, false, index);
	case PICKET_SPACE_LINE:
		return leaf_kept(court->actor, true, index);
	}
	return leaf;
}

static __always_inline void program_ends(struct judge *judge, struct picket_program *program,
					 bool certain, bool maybe)
{
	__u32 which = judge->program;
	__u32 word = which / 64 & (WORDS(PICKET_UNITS) - 1);
	__u32 count;

	judge->running = 0;
	if (judge->level == LEVEL_UNITS) {
		if (certain)
			judge->unit_true[word] |= 1ULL << (which & 63);
		if (maybe) {
			judge->unit_maybe[word] |= 1ULL << (which & 63);
			judge->unit_words |= 1ULL << word;
		}
		return;
	}
	if (!maybe)
		return;
	judge->rule_maybe[word & (WORDS(PICKET_RULES) - 1)] |= 1ULL << (which & 63);
	if (!certain) {
		judge->verdict.undecided += 1;
		return;
	}
	judge->rule_true[word & (WORDS(PICKET_RULES) - 1)] |= 1ULL << (which & 63);
	count = judge->verdict.matched;
	if (count < PICKET_VERDICT_RULES)
		judge->verdict.rules[count & (PICKET_VERDICT_RULES - 1)] = which;
	judge->verdict.matched = count + 1;
	judge->verdict.triggered |= program->policies;
}

// One leaf, or the next candidate.
static long program_step(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u8 *tables = court->tables;
	struct picket_program *program;
	struct picket_step *step;
	struct leaf leaf;
	__u32 first, next;
	__s32 candidate;
	bool holds;

	first = judge->level == LEVEL_UNITS ? 0 : TABLE_HEAD(tables)->units;
	if (!judge->running) {
		if (!judge->rest && !judge->candidate_words)
			return 1;
		candidate = take_bit(judge, &judge->candidate_words, judge->candidates, false);
		if (candidate < 0)
			return 0;
		program = TABLE_AT(struct picket_program, tables,
				   TABLE_HEAD(tables)->programs + first + candidate);
		if (!(program->kinds >> (judge->kind & 31) & 1))
			return 0;
		judge->program = candidate;
		judge->code = program->code;
		judge->step = 0;
		judge->running = 1;
		judge->certain = 0;
		judge->met_unknown = 0;
		return 0;
	}
	step = TABLE_AT(struct picket_step, tables, judge->code + judge->step);
	leaf = leaf_is(court, step->leaf & PICKET_LEAF_SPACE, step->index);
	if (leaf.maybe && !leaf.certain)
		judge->met_unknown = 1;
	if (step->leaf & PICKET_LEAF_NOT)
		holds = judge->certain ? !leaf.maybe : !leaf.certain;
	else
		holds = judge->certain ? leaf.certain : leaf.maybe;
	next = holds ? step->yes : step->no;
	if (next < PICKET_STEP_FALSE) {
		judge->step = next;
		return 0;
	}
	holds = next == PICKET_STEP_TRUE;
	if (holds && judge->met_unknown && !judge->certain) {
		judge->certain = 1;
		judge->step = 0;
		return 0;
	}
	program = TABLE_AT(struct picket_program, tables,
			   TABLE_HEAD(tables)->programs + first + judge->program);
	program_ends(judge, program, holds, holds || judge->certain);
	return 0;
}

// Runs the programs that may hold by what was found so far.
__noinline int programs_run(struct judge *judge, struct process_state *actor, __u32 level)
{
	COURT(court, judge);

	court.actor = actor;
	judge->level = level;
	judge->running = 0;
	judge->rest = 0;
	judge->list_left = 0;
	if (judge->atom_words)
		bpf_loop(STEPS, spread_atoms, &court, 0);
	judge->rest = 0;
	if (judge->candidate_words)
		bpf_loop(STEPS, program_step, &court, 0);
	return 0;
}
