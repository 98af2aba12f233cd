// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Compiled rules as the programs read them: one block of plain tables, written
// by crates/engine (kernel/), never changed while it is in force.
//
// A test compares every structure here, by way of the object's BTF, with the
// engine's. Positions are counted in units of what they point at, from the
// beginning of the block.
//
//   text ─► automaton ─► literals ─┐
//                                  ├─► atoms ─► units ─► rules ─► policies
//   number ─► intervals ───────────┘            (kept with the process)
#pragma once

#include "wire.h"

// The largest value that an array map may have before Linux 6.2 or so.
#define PICKET_TABLE_BYTES (4 << 20)

// What may stand in one block; what does not fit is left to user space, by name.
#define PICKET_LITERALS 4096
#define PICKET_ATOMS 4096
#define PICKET_REGEXES 512
#define PICKET_UNITS 2048
// Units of other processes than the new image are kept with each process.
#define PICKET_KEPT_UNITS 1024
#define PICKET_RULES 1024
#define PICKET_POLICIES 64

// Texts that automata run over.
enum picket_source_text {
	PICKET_TEXT_NAME,
	PICKET_TEXT_PATH,
	PICKET_TEXT_CMD_LINE,
	PICKET_TEXT_ARGS,
	PICKET_TEXT_CWD,
	PICKET_TEXT_TTY,
	PICKET_TEXT_INTERPRETER,
	PICKET_TEXT_SCRIPT,
	PICKET_TEXT_QUERY,
	PICKET_TEXT_FILE,
	PICKET_TEXT_FILE_NAME,
	PICKET_TEXT_FILE_FOLDER,
	PICKET_TEXT_RENAME_FROM,
	PICKET_SOURCE_TEXTS,
};

// Numbers that are looked up among intervals.
enum picket_source_number {
	PICKET_NUMBER_PID,
	PICKET_NUMBER_UID,
	PICKET_NUMBER_GID,
	PICKET_NUMBER_EUID,
	PICKET_NUMBER_MEMFD,
	PICKET_NUMBER_DELETED,
	PICKET_NUMBER_UPPER_LAYER,
	PICKET_NUMBER_PID_NAMESPACE,
	PICKET_NUMBER_MOUNT_NAMESPACE,
	PICKET_NUMBER_INODE,
	PICKET_NUMBER_FILE, // device << 32 | inode; unknown where the inode is longer
	PICKET_NUMBER_CAPABILITIES, // a set, not a number: see picket_mask
	PICKET_NUMBER_USER,
	PICKET_NUMBER_AUID,
	PICKET_NUMBER_DST_IP4,
	PICKET_NUMBER_DST_PORT,
	PICKET_NUMBER_SRC_IP4,
	PICKET_NUMBER_SRC_PORT,
	PICKET_NUMBER_PROTOCOL,
	PICKET_NUMBER_QUERY_TYPE,
	PICKET_NUMBER_OPEN_READ,
	PICKET_NUMBER_OPEN_WRITE,
	PICKET_NUMBER_OPEN_CREATE,
	PICKET_NUMBER_MODE,
	PICKET_NUMBER_STATUS,
	PICKET_SOURCE_NUMBERS,
};

// IPv6 addresses have tables of their own: a key is twice as long.
enum picket_source_address {
	PICKET_ADDRESS_DST,
	PICKET_ADDRESS_SRC,
	PICKET_SOURCE_ADDRESSES,
};

// A source is what is known or unknown as a whole: a text as its bytes stand,
// with case folded, as regexes see it; a number; or what is never known here.
enum picket_source {
	PICKET_SOURCE_EXACT, // + enum picket_source_text
	PICKET_SOURCE_FOLDED = PICKET_SOURCE_TEXTS,
	PICKET_SOURCE_REGEX = 2 * PICKET_SOURCE_TEXTS,
	PICKET_SOURCE_NUMBER = 3 * PICKET_SOURCE_TEXTS, // + enum picket_source_number
	PICKET_SOURCE_NEVER = 3 * PICKET_SOURCE_TEXTS + PICKET_SOURCE_NUMBERS,
	PICKET_SOURCES,
};

// Whose bits a program's leaf reads.
enum picket_space {
	PICKET_SPACE_ATOM,
	PICKET_SPACE_PROCESS, // units of the new image
	PICKET_SPACE_ACTOR, // of the acting process
	PICKET_SPACE_PARENT, // of real_parent
	PICKET_SPACE_LINE, // of any of the ancestors
	PICKET_SPACES,
};

// A leaf's space, and whether it is meant negated.
#define PICKET_LEAF_SPACE 0x7
#define PICKET_LEAF_NOT 0x8

// A leaf of a program: what to do if it holds and if not.
struct picket_step {
	__u16 leaf;
	__u16 index;
	__u16 yes; // a step of the same program, or one of the two below
	__u16 no;
};

#define PICKET_STEP_TRUE 0xffff
#define PICKET_STEP_FALSE 0xfffe

// A unit's or rule's condition.
struct picket_program {
	__u32 code; // of picket_step
	__u32 kinds; // rules: a bit per enum picket_kind
	__u64 policies; // rules: a bit per policy
};

struct picket_list {
	__u32 at; // of __u16
	__u32 len;
};

// A literal's list holds atoms, and regexes to be tried.
#define PICKET_LIST_REGEX 0x8000

// A finite automaton over bytes. State 0 is dead where a regex's can be.
struct picket_automaton {
	__u32 classes; // of __u8: 256, a byte's column
	__u32 rows; // of __u16: states << shift; 0: there is none
	__u32 accepts; // of __u16: the literal of each accepting state
	__u16 start; // what the anchor leads to
	__u16 accepting; // this state and those after it
	__u16 shift;
	__u16 anchor; // the column of a text's two ends
};

struct picket_text_table {
	struct picket_automaton exact;
	struct picket_automaton folded;
	struct picket_list regexes; // all that read it
	struct picket_list always; // those of them without a literal
	__u32 exists; // atom + 1
	__u32 reserved;
};

// Sorted bounds; the interval before bounds[i] has lists[i].
struct picket_number_table {
	__u32 bounds; // of __u64, or of picket_bound for addresses
	__u32 count;
	__u32 lists; // of picket_list: count + 1; 0: nothing is asked
	__u32 exists; // atom + 1
};

// A bound of IPv6 addresses.
struct picket_bound {
	__u64 upper;
	__u64 lower;
};

// An atom that holds where the set has one of these.
struct picket_mask {
	__u64 any;
	__u32 atom;
	__u32 reserved;
};

struct picket_regex {
	struct picket_automaton automaton;
	__u32 reserved;
	struct picket_list atoms;
};

struct picket_tables {
	__u32 version;
	__u32 used; // bytes
	struct picket_text_table texts[PICKET_SOURCE_TEXTS];
	struct picket_number_table numbers[PICKET_SOURCE_NUMBERS];
	struct picket_number_table addresses[PICKET_SOURCE_ADDRESSES];
	struct picket_automaton utf8; // accepts what is no UTF-8
	__u32 atom_sources; // of __u8
	__u32 atom_lists; // of picket_list: the programs filed under an atom
	__u32 literal_lists; // of picket_list
	__u32 source_lists; // of picket_list: the programs filed under a source's atoms
	__u32 unit_lists[PICKET_SPACES]; // of picket_list: the rules filed under a unit
	__u32 space_lists; // of picket_list: the rules filed under a space's units
	__u32 regexes; // of picket_regex
	__u32 programs; // of picket_program: units, then rules
	__u32 units;
	__u32 rules;
	__u32 kinds; // a bit per enum picket_kind: some rule is about it
	__u32 masks; // of picket_mask
	__u32 mask_count;
	__u32 protected_units[4]; // + 1; see enum picket_protects
	__u64 always_unit_words; // which words of these are not empty
	__u64 always_rule_words;
	__u64 always_units[PICKET_UNITS / 64];
	__u64 absent_units[PICKET_UNITS / 64]; // those that hold of no process at all
	__u64 always_rules[PICKET_RULES / 64];
};

// Units that tell the protected set.
enum picket_protects {
	PICKET_PROTECTS_FILE, // an executable at its place on the host
	PICKET_PROTECTS_NAME, // a name that a person gave
	PICKET_PROTECTS_RUNTIME, // a container runtime's executable, at its place
	PICKET_PROTECTS_COPY, // its copy of itself in memory
};

// How many actions a budget can count; picket_budget.used holds one time each.
#define PICKET_BUDGET_ACTIONS 1024
// Twice as many as policies: new ones come while the old are still charged.
#define PICKET_BUDGETS 128

enum picket_effect {
	PICKET_EFFECT_KILL = 1,
	PICKET_EFFECT_DENY = 2,
};

// A response policy in force. One write of `blocks` arms or disarms it.
struct picket_policy {
	__u32 effects; // enum picket_effect
	__u32 blocks; // 0: it simulates
	__u32 actions; // allowed in a window; 0: any number
	__u32 window_ms;
	__u32 pause_ms; // after which a used-up budget is good again; 0: never by itself
	__u32 budget; // which of `budgets`
	char id[40]; // its beginning, for those who look at the map
};

// What a policy has used of its budget. User space charges the same ones,
// through its mapping of them.
struct picket_budget {
	__u64 next; // counts actions asked for
	__u64 tripped_ms; // of boot time; 0: it has not
	__u64 owner; // whose it is, for user space; 0: nobody's
	__u64 used_ms[PICKET_BUDGET_ACTIONS]; // a ring of the last `actions`
};
