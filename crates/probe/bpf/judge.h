// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// The kernel half of the engine: what it knows of the event it judges.
//
// Kleene's logic in two bits: a thing holds for certain, or may hold. What only
// may hold is undecided here and goes to user space.
//
// Everything that changes in a loop stands in a map value, not on the stack: the
// verifier then takes it for unknown and looks at a loop's body once.
#pragma once

#include "state.h"

#define WORDS(bits) ((bits) / 64)
// More than every rule at its longest takes.
#define STEPS (1 << 17)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u8[PICKET_TABLE_BYTES]);
} tables SEC(".maps");

// What user space writes here returns only when every program that ran before
// has ended (maybe_wait_bpf_programs): it is how it waits for them.
struct grace_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} grace_inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct grace_inner);
} grace SEC(".maps");

enum judge_level {
	LEVEL_UNITS,
	LEVEL_RULES,
};

// A text of a record, by where it stands in scratch->tail.
struct place {
	__u32 at;
	__u32 len;
	__u32 known; // enum picket_known
};

// What is known of one event.
struct judge {
	__u64 literals[WORDS(PICKET_LITERALS)];
	__u64 atoms[WORDS(PICKET_ATOMS)];
	__u64 candidates[WORDS(PICKET_UNITS)];
	__u64 regexes[WORDS(PICKET_REGEXES)];
	// Which words of these are not empty.
	__u64 literal_words;
	__u64 atom_words;
	__u64 candidate_words;
	__u64 regex_words;
	__u64 unknown[2]; // a bit per enum picket_source
	__u64 unit_true[WORDS(PICKET_UNITS)];
	__u64 unit_maybe[WORDS(PICKET_UNITS)];
	__u64 rule_true[WORDS(PICKET_RULES)]; // never emptied but for a trial
	__u64 rule_maybe[WORDS(PICKET_RULES)];
	__u64 parent_true[WORDS(PICKET_KEPT_UNITS)];
	__u64 parent_maybe[WORDS(PICKET_KEPT_UNITS)];
	// The set that is being emptied, and the list of the bit taken last.
	__u64 rest; // of the word at hand
	__u64 set; // one word to be held against masks
	__u32 word;
	__u32 lists; // of a space's units
	__u32 list_at;
	__u32 list_left;
	// The automaton that runs, and the text it runs over.
	__u32 at;
	__u32 end;
	__u32 state;
	__u32 high; // some byte was not ASCII
	// What is still to be read of a packet.
	__u32 packet_at;
	__u32 packet_left;
	struct picket_automaton automaton;
	// The program that runs.
	__u32 program;
	__u32 code;
	__u32 step;
	__u8 running;
	__u8 certain; // unknown counts as false
	__u8 met_unknown;
	__u8 level;
	__u32 kind; // enum picket_kind
	__u32 half; // of `tables`
	__u8 parent; // enum picket_known
	__u8 whole; // the text is
	__u8 before_exec; // the image is not in place: its rights are not known
	__u8 reserved_byte;
	__u16 effects; // enum picket_effect: of policies that act
	__u32 held; // of the takers of JUDGE_NET: somebody has it
	struct picket_verdict verdict;
	// The record that is made of what is judged, but for images and files.
	union {
		struct picket_record head;
		struct picket_connect connect;
		struct picket_listen listen;
		struct {
			struct picket_dns dns;
			__u8 payload[PICKET_DNS_SHORT];
		};
	} record;
	struct place places[PICKET_EXEC_TEXTS];
	struct process_state next; // what is being made for the process
	char bytes[2 * PICKET_TEXT_MAX + 8]; // the text at hand, in its first half
};

struct scratch;

// The pointers that a loop's body needs.
struct court {
	struct judge *judge;
	__u8 *tables;
	struct process_state *actor; // NULL: unknown
	__u64 *set; // that is looked through
};

// Who may judge at the same time on one processor. Programs of tracepoints run
// with preemption off and in process context; those of cgroup hooks can be
// preempted by each other, and packets leave in interrupts too.
enum judge_user {
	JUDGE_PROCESS,
	JUDGE_FILE,
	JUDGE_TRIAL,
	JUDGE_NET,
	JUDGE_USERS = JUDGE_NET + 8,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, JUDGE_USERS);
	__type(key, __u32);
	__type(value, struct judge);
} judges SEC(".maps");

static __always_inline struct judge *judge_take(__u32 user)
{
	return bpf_map_lookup_elem(&judges, &user);
}

// One of those that others may hold meanwhile; NULL where they all are held.
static __always_inline struct judge *judge_take_free(void)
{
	struct judge *judge;

#pragma unroll
	for (__u32 i = 0; i < JUDGE_USERS - JUDGE_NET; i++) {
		__u32 user = JUDGE_NET + i;

		judge = bpf_map_lookup_elem(&judges, &user);
		if (judge && !__sync_val_compare_and_swap(&judge->held, 0, 1))
			return judge;
	}
	return NULL;
}

static __always_inline void judge_release(struct judge *judge)
{
	__sync_lock_test_and_set(&judge->held, 0);
}

static __always_inline __u8 *tables_of(__u32 half)
{
	return bpf_map_lookup_elem(&tables, &half);
}

// Functions that are not static are verified once and not at each call; they
// have to look for the tables themselves, and to doubt their arguments.
#define COURT(name, the_judge)                                                                     \
	struct court name = { .judge = the_judge };                                                \
	if (!the_judge)                                                                            \
		return 0;                                                                          \
	name.tables = tables_of(the_judge->half);                                                  \
	if (!name.tables)                                                                          \
		return 0

// Places in the tables. Sizes are powers of two, so that a mask bounds them.
#define TABLE_U8(tables, at) ((tables)[(at) & (PICKET_TABLE_BYTES - 1)])
#define TABLE_AT(type, tables, at)                                                                 \
	((type *)&(tables)[((at) * sizeof(type)) & (PICKET_TABLE_BYTES - sizeof(type))])
#define TABLE_U16(tables, at) (*TABLE_AT(__u16, tables, at))
#define TABLE_HEAD(tables) ((struct picket_tables *)(tables))

static const __u8 lowest_bits[64] = {
	0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28, 62, 5,	39, 46, 44, 42,
	22, 9,	24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
	23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
};

// The place of the lowest bit that is set. (clang's own way is longer.)
static __always_inline __u32 lowest_bit(__u64 set)
{
	return lowest_bits[((set & -set) * 0x022fdd63cc95386dULL) >> 58];
}

static __always_inline void judge_atom(struct judge *judge, __u32 atom)
{
	__u32 word = atom / 64 & (WORDS(PICKET_ATOMS) - 1);

	judge->atoms[word] |= 1ULL << (atom & 63);
	judge->atom_words |= 1ULL << word;
}

static __always_inline void judge_candidate(struct judge *judge, __u32 program)
{
	__u32 word = program / 64 & (WORDS(PICKET_UNITS) - 1);

	judge->candidates[word] |= 1ULL << (program & 63);
	judge->candidate_words |= 1ULL << word;
}

static __always_inline void judge_regex(struct judge *judge, __u32 regex)
{
	__u32 word = regex / 64 & (WORDS(PICKET_REGEXES) - 1);

	judge->regexes[word] |= 1ULL << (regex & 63);
	judge->regex_words |= 1ULL << word;
}

static __always_inline void judge_list(struct judge *judge, __u8 *tables, __u32 lists, __u32 index)
{
	struct picket_list *list = TABLE_AT(struct picket_list, tables, lists + index);

	judge->list_at = list->at;
	judge->list_left = list->len;
}

// An entry of the list at hand.
static __always_inline __u32 take_entry(struct judge *judge, __u8 *tables)
{
	__u32 at = judge->list_at;

	judge->list_at = at + 1;
	judge->list_left -= 1;
	return TABLE_U16(tables, at);
}

// The next bit of a set, whose words that are not empty `words` tells; -1 when
// there is none in the word looked at. `words` and, unless it is kept, the set
// are empty in the end.
static __always_inline __s32 take_bit(struct judge *judge, __u64 *words, __u64 *set, bool keep)
{
	__u64 rest = judge->rest;
	__u32 word = judge->word & 63;

	if (!rest) {
		word = lowest_bit(*words);
		*words &= *words - 1;
		judge->word = word;
		rest = set[word];
		if (!keep)
			set[word] = 0;
		if (!rest)
			return -1;
	}
	judge->rest = rest & (rest - 1);
	return word * 64 + lowest_bit(rest);
}

// Literals that were found, to the atoms they make true and the regexes they
// are part of.
static long spread_literals(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u8 *tables = court->tables;
	__u32 entry;
	__s32 literal;

	if (judge->list_left) {
		entry = take_entry(judge, tables);
		if (entry & PICKET_LIST_REGEX)
			judge_regex(judge, entry);
		else
			judge_atom(judge, entry);
		return 0;
	}
	if (!judge->rest && !judge->literal_words)
		return 1;
	literal = take_bit(judge, &judge->literal_words, judge->literals, false);
	if (literal >= 0)
		judge_list(judge, tables, TABLE_HEAD(tables)->literal_lists, literal);
	return 0;
}

// Atoms that hold, to the programs filed under them.
static long spread_atoms(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u8 *tables = court->tables;
	__s32 atom;

	if (judge->list_left) {
		judge_candidate(judge, take_entry(judge, tables));
		return 0;
	}
	if (!judge->rest && !judge->atom_words)
		return 1;
	atom = take_bit(judge, &judge->atom_words, judge->atoms, true);
	if (atom >= 0)
		judge_list(judge, tables, TABLE_HEAD(tables)->atom_lists, atom);
	return 0;
}

static long add_atoms(__u32 index, struct court *court)
{
	judge_atom(court->judge, take_entry(court->judge, court->tables));
	return 0;
}

static long add_regexes(__u32 index, struct court *court)
{
	judge_regex(court->judge, take_entry(court->judge, court->tables));
	return 0;
}

static long add_candidates(__u32 index, struct court *court)
{
	judge_candidate(court->judge, take_entry(court->judge, court->tables));
	return 0;
}

// Nothing is known of the source: what is filed under its atoms may hold.
__noinline int source_unknown(struct judge *judge, __u32 source)
{
	COURT(court, judge);

	judge->unknown[source / 64 & 1] |= 1ULL << (source & 63);
	judge_list(judge, court.tables, TABLE_HEAD(court.tables)->source_lists, source);
	bpf_loop(judge->list_left, add_candidates, &court, 0);
	return 0;
}

// A number's interval gives the atoms that hold of it.
__noinline int number_is(struct judge *judge, __u32 which, __u64 value)
{
	struct picket_number_table *table;
	__u32 low = 0, high, middle;
	COURT(court, judge);

	if (which >= PICKET_SOURCE_NUMBERS)
		return 0;
	table = &TABLE_HEAD(court.tables)->numbers[which];
	if (table->exists)
		judge_atom(judge, table->exists - 1);
	if (!table->lists)
		return 0;
	high = table->count;
	// 2^14 bounds are more than the tables can hold.
	for (int i = 0; i < 14 && low < high; i++) {
		middle = (low + high) / 2;
		if (value < *TABLE_AT(__u64, court.tables, table->bounds + middle))
			high = middle;
		else
			low = middle + 1;
	}
	judge_list(judge, court.tables, table->lists, low);
	bpf_loop(judge->list_left, add_atoms, &court, 0);
	return 0;
}

// A number that cannot be known here; it exists.
static __noinline int number_unknown(struct judge *judge, __u32 which)
{
	__u8 *tables = tables_of(judge->half);

	if (which >= PICKET_SOURCE_NUMBERS)
		return 0;
	if (tables && TABLE_HEAD(tables)->numbers[which].exists)
		judge_atom(judge, TABLE_HEAD(tables)->numbers[which].exists - 1);
	return source_unknown(judge, PICKET_SOURCE_NUMBER + which);
}
