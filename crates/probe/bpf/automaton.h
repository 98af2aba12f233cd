// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Texts through automata: which literals they hold, which regexes match.
#pragma once

#include "judge.h"

static __always_inline __u32 automaton_step(struct judge *judge, __u8 *tables, __u32 state,
					    __u32 column)
{
	return TABLE_U16(tables, judge->automaton.rows +
					 (state << (judge->automaton.shift & 15)) + column);
}

static __always_inline void literal_found(struct judge *judge, __u8 *tables, __u32 state)
{
	__u32 literal = TABLE_U16(tables, judge->automaton.accepts + state -
						  judge->automaton.accepting);
	__u32 word = literal / 64 & (WORDS(PICKET_LITERALS) - 1);

	judge->literals[word] |= 1ULL << (literal & 63);
	judge->literal_words |= 1ULL << word;
}

// A loop of eight would be no faster and take the verifier longer.
#define EIGHT_BYTES(each) each(0) each(1) each(2) each(3) each(4) each(5) each(6) each(7)

// Eight bytes through the automaton of a text's literals.
static long literal_bytes(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u8 *tables = court->tables;
	__u32 at = judge->at;
	__u32 left = judge->end - at;
	__u32 state = judge->state;
	__u32 accepting = judge->automaton.accepting;
	__u64 chunk = *(__u64 *)&judge->bytes[at & (PICKET_TEXT_MAX - 1)];

	judge->at = at + 8;
#define LITERAL_BYTE(i)                                                                            \
	if (left <= i)                                                                             \
		goto out;                                                                          \
	judge->high |= (__u8)(chunk >> 8 * i);                                                     \
	state = automaton_step(judge, tables, state,                                               \
			       TABLE_U8(tables, judge->automaton.classes + (__u8)(chunk >> 8 * i)));\
	if (state >= accepting)                                                                    \
		literal_found(judge, tables, state);
	EIGHT_BYTES(LITERAL_BYTE)
#undef LITERAL_BYTE
out:
	judge->state = state;
	return 0;
}

// A regex's automaton over eight bytes. Its dead and its accepting states lead
// to themselves, so that they need not be looked for after each byte.
static long regex_bytes(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u8 *tables = court->tables;
	__u32 at = judge->at;
	__u32 left = judge->end - at;
	__u32 state = judge->state;
	__u64 chunk = *(__u64 *)&judge->bytes[at & (PICKET_TEXT_MAX - 1)];

	judge->at = at + 8;
#define REGEX_BYTE(i)                                                                              \
	if (left <= i)                                                                             \
		goto out;                                                                          \
	state = automaton_step(judge, tables, state,                                               \
			       TABLE_U8(tables, judge->automaton.classes + (__u8)(chunk >> 8 * i)));
	EIGHT_BYTES(REGEX_BYTE)
#undef REGEX_BYTE
out:
	judge->state = state;
	return state == 0 || state >= judge->automaton.accepting;
}

static __always_inline __u32 automaton_start(struct judge *judge,
					     struct picket_automaton *automaton)
{
	judge->automaton = *automaton;
	judge->at = 0;
	judge->state = automaton->start;
	return (judge->end + 7) / 8;
}

static __noinline int literals_of(struct court *court, struct picket_automaton *automaton)
{
	struct judge *judge = court->judge;
	__u32 state;

	bpf_loop(automaton_start(judge, automaton), literal_bytes, court, 0);
	if (!judge->whole)
		return 0;
	state = automaton_step(judge, court->tables, judge->state, judge->automaton.anchor);
	if (state >= judge->automaton.accepting)
		literal_found(judge, court->tables, state);
	return 0;
}

static __noinline int regex_of(struct court *court, struct picket_automaton *automaton)
{
	struct judge *judge = court->judge;
	__u32 state;

	bpf_loop(automaton_start(judge, automaton), regex_bytes, court, 0);
	state = judge->state;
	// Of a text that is cut, the anchor is not its end.
	if (state < judge->automaton.accepting && judge->whole)
		state = automaton_step(judge, court->tables, state, judge->automaton.anchor);
	return state >= judge->automaton.accepting;
}

// Tries the next regex that is due.
static long try_regexes(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	struct picket_regex *regex;
	__s32 which;

	if (!judge->rest && !judge->regex_words)
		return 1;
	which = take_bit(judge, &judge->regex_words, judge->regexes, false);
	if (which < 0)
		return 0;
	regex = TABLE_AT(struct picket_regex, court->tables,
			 TABLE_HEAD(court->tables)->regexes + which);
	if (!regex_of(court, &regex->automaton))
		return 0;
	judge->list_at = regex->atoms.at;
	judge->list_left = regex->atoms.len;
	bpf_loop(judge->list_left, add_atoms, court, 0);
	return 0;
}

static __always_inline void text_regexes(struct court *court, struct picket_text_table *table,
					 __u32 text)
{
	struct judge *judge = court->judge;
	// Folded literals are found among ASCII only: any regex may stand behind one.
	struct picket_list *due = judge->high & 0x80 ? &table->regexes : &table->always;

	judge->list_at = due->at;
	judge->list_left = due->len;
	bpf_loop(judge->list_left, add_regexes, court, 0);
	if (!judge->regex_words)
		return;
	if (judge->high & 0x80 && regex_of(court, &TABLE_HEAD(court->tables)->utf8)) {
		// Rules see U+FFFD where this is no UTF-8; these bytes do not say where.
		source_unknown(judge, PICKET_SOURCE_REGEX + text);
		judge->regex_words = 0;
		__builtin_memset(judge->regexes, 0, sizeof(judge->regexes));
		return;
	}
	judge->rest = 0;
	bpf_loop(STEPS, try_regexes, court, 0);
}

static __noinline int text_unknown(struct judge *judge, __u32 text)
{
	source_unknown(judge, PICKET_SOURCE_EXACT + text);
	source_unknown(judge, PICKET_SOURCE_FOLDED + text);
	source_unknown(judge, PICKET_SOURCE_REGEX + text);
	return 0;
}

// Whether anything is asked of the text; whether it exists is answered here.
__noinline int text_asked(struct judge *judge, __u32 text, __u32 known)
{
	struct picket_text_table *table;
	COURT(court, judge);

	if (known == PICKET_ABSENT || text >= PICKET_SOURCE_TEXTS)
		return false;
	table = &TABLE_HEAD(court.tables)->texts[text];
	if (table->exists)
		judge_atom(judge, table->exists - 1);
	if (!table->exact.rows && !table->folded.rows && !table->regexes.len)
		return false;
	judge->whole = known == PICKET_KNOWN;
	judge->end = 0;
	if (known != PICKET_KNOWN)
		text_unknown(judge, text);
	return known != PICKET_UNKNOWN;
}

// What the text in judge->bytes, up to judge->end, makes true.
__noinline int text_is(struct judge *judge, __u32 text)
{
	struct picket_text_table *table;
	COURT(court, judge);

	if (text >= PICKET_SOURCE_TEXTS)
		return 0;
	table = &TABLE_HEAD(court.tables)->texts[text];
	judge->high = 0;
	if (table->exact.rows)
		literals_of(&court, &table->exact);
	if (table->folded.rows) {
		literals_of(&court, &table->folded);
		// Some letters beyond ASCII are folded into it.
		if (judge->high & 0x80)
			source_unknown(judge, PICKET_SOURCE_FOLDED + text);
	}
	if (!table->exact.rows && !table->folded.rows)
		judge->high = 0x80; // nobody has looked
	if (judge->literal_words) {
		judge->rest = 0;
		judge->list_left = 0;
		bpf_loop(STEPS, spread_literals, &court, 0);
	}
	if (table->regexes.len)
		text_regexes(&court, table, text);
	return 0;
}
