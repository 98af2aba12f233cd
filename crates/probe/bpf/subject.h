// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A new image before the rules: what they ask of a process is answered once,
// here, and kept with it.
#pragma once

#include "automaton.h"
#include "decide.h"
#include "image.h"

// Names are looked for in this much of a file name's end (NAME_MAX).
#define NAME_ROOM 256

// Finds where the texts of scratch->exec stand.
static __always_inline void exec_places(struct judge *judge, struct scratch *scratch)
{
	__u32 at = 0;

	for (int i = 0; i < PICKET_EXEC_TEXTS; i++) {
		judge->places[i].at = at;
		judge->places[i].len = scratch->exec.texts[i].len;
		judge->places[i].known = scratch->exec.texts[i].known;
		at += scratch->exec.texts[i].len;
	}
}

// Copies a part of scratch->tail into judge->bytes, behind what is there.
static __noinline bool bytes_add(struct judge *judge, struct scratch *scratch, __u32 at, __u32 len)
{
	__u32 end = judge->end;

	// The comparisons must stand as they are: they are what the verifier goes by.
	asm volatile("" : "+r"(at), "+r"(len), "+r"(end));
	if (at > TAIL_LIMIT || end > PICKET_TEXT_MAX || len > PICKET_TEXT_MAX)
		return false;
	if (bpf_probe_read_kernel(&judge->bytes[end], len, &scratch->tail[at]))
		return false;
	judge->end = end + len;
	return end + len <= PICKET_TEXT_MAX;
}

static __noinline int image_text(struct judge *judge, struct scratch *scratch, __u32 text,
				 struct place *place)
{
	if (!text_asked(judge, text, place->known))
		return 0;
	if (bytes_add(judge, scratch, place->at, place->len))
		return text_is(judge, text);
	return text_unknown(judge, text);
}

static long name_back(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u32 at = judge->end - 1 - index;

	if (judge->bytes[at & (PICKET_TEXT_MAX - 1)] == '/')
		return 1;
	judge->at = at;
	return 0;
}

static __always_inline bool same_bytes(const char *bytes, const char *literal, int len)
{
	for (int i = 0; i < len; i++) {
		if (bytes[i] != literal[i])
			return false;
	}
	return true;
}

#define STARTS_WITH(bytes, literal) same_bytes(bytes, literal, sizeof(literal) - 1)

// A name that the kernel made up (fs/exec.c: `/dev/fd/N`), or that stands for
// whoever uses it.
static __always_inline bool is_stand_in(struct scratch *scratch, struct place *name)
{
	char head[8] = {}, tail[4] = {};
	__u32 at = name->at, end = name->at + name->len - 4;

	if (name->len < 8 || at > TAIL_LIMIT || end > TAIL_LIMIT)
		return false;
	bpf_probe_read_kernel(head, sizeof(head), &scratch->tail[at]);
	bpf_probe_read_kernel(tail, sizeof(tail), &scratch->tail[end]);
	return STARTS_WITH(head, "/dev/fd/") ||
	       (STARTS_WITH(head, "/proc/") && STARTS_WITH(tail, "/exe"));
}

static __always_inline bool is_memfd(struct scratch *scratch, struct place *path)
{
	char head[6] = {};
	__u32 at = path->at;

	if (path->len < sizeof(head) || at > TAIL_LIMIT)
		return false;
	bpf_probe_read_kernel(head, sizeof(head), &scratch->tail[at]);
	return STARTS_WITH(head, "memfd:");
}

static __always_inline bool ends_in_nul(struct scratch *scratch, struct place *args)
{
	__u32 last = args->at + args->len - 1;

	return last < sizeof(scratch->tail) && !scratch->tail[last];
}

// The last component of what was executed, as it was asked for.
static __always_inline int image_name(struct judge *judge, struct scratch *scratch, struct place *name,
				      struct place *path)
{
	struct court court = { .judge = judge };
	__u32 skip, start;

	if (path->known == PICKET_KNOWN &&
	    (name->known != PICKET_KNOWN || is_stand_in(scratch, name)))
		name = path;
	if (!text_asked(judge, PICKET_TEXT_NAME,
			name->known == PICKET_KNOWN ? PICKET_KNOWN : PICKET_UNKNOWN))
		return 0;
	skip = name->len > NAME_ROOM ? name->len - NAME_ROOM : 0;
	if (!bytes_add(judge, scratch, name->at + skip, name->len - skip))
		return text_unknown(judge, PICKET_TEXT_NAME);
	start = 0;
	// A memfd's name may hold slashes: it is one name.
	if (!is_memfd(scratch, name)) {
		judge->at = judge->end;
		bpf_loop(judge->end, name_back, &court, 0);
		start = judge->at;
	}
	if (start == 0 && skip)
		return text_unknown(judge, PICKET_TEXT_NAME);
	if (start) {
		judge->end = 0;
		if (!bytes_add(judge, scratch, name->at + skip + start, name->len - skip - start))
			return text_unknown(judge, PICKET_TEXT_NAME);
	}
	return text_is(judge, PICKET_TEXT_NAME);
}

// The script that was executed: its name, from the working directory on if it
// is relative.
static __always_inline int image_script(struct judge *judge, struct scratch *scratch, struct place *name,
					struct place *cwd)
{
	char head[2] = {};
	__u32 at = name->at, end, skip = 0;
	bool known = name->known == PICKET_KNOWN && name->len >= sizeof(head);

	if (at <= TAIL_LIMIT)
		bpf_probe_read_kernel(head, sizeof(head), &scratch->tail[at]);
	if (head[0] != '/')
		known = known && cwd->known == PICKET_KNOWN;
	if (!text_asked(judge, PICKET_TEXT_SCRIPT, known ? PICKET_KNOWN : PICKET_UNKNOWN))
		return 0;
	if (head[0] != '/') {
		if (!bytes_add(judge, scratch, cwd->at, cwd->len))
			return text_unknown(judge, PICKET_TEXT_SCRIPT);
		// Only the root directory ends in a slash.
		if (cwd->len == 1)
			judge->end = 0;
		end = judge->end;
		if (end >= PICKET_TEXT_MAX)
			return text_unknown(judge, PICKET_TEXT_SCRIPT);
		judge->bytes[end] = '/';
		judge->end = end + 1;
		if (head[0] == '.' && head[1] == '/')
			skip = 2;
	}
	if (!bytes_add(judge, scratch, name->at + skip, name->len - skip))
		return text_unknown(judge, PICKET_TEXT_SCRIPT);
	return text_is(judge, PICKET_TEXT_SCRIPT);
}

static long mask_is(__u32 index, struct court *court)
{
	struct picket_mask *mask = TABLE_AT(struct picket_mask, court->tables,
					    TABLE_HEAD(court->tables)->masks + index);

	if (court->judge->set & mask->any)
		judge_atom(court->judge, mask->atom);
	return 0;
}

static __always_inline void image_numbers(struct judge *judge, struct picket_exec *exec, bool memfd)
{
	struct picket_task *task = &exec->head.task;
	struct court court = { .judge = judge };

	number_is(judge, PICKET_NUMBER_PID, task->pid);
	number_is(judge, PICKET_NUMBER_UID, task->uid);
	number_is(judge, PICKET_NUMBER_GID, task->gid);
	if (judge->before_exec) {
		number_unknown(judge, PICKET_NUMBER_EUID);
		number_unknown(judge, PICKET_NUMBER_CAPABILITIES);
	} else {
		number_is(judge, PICKET_NUMBER_EUID, task->euid);
		number_is(judge, PICKET_NUMBER_CAPABILITIES, exec->capabilities);
	}
	number_is(judge, PICKET_NUMBER_MEMFD, memfd);
	number_is(judge, PICKET_NUMBER_DELETED, !memfd && (exec->flags & PICKET_EXEC_DELETED));
	number_is(judge, PICKET_NUMBER_UPPER_LAYER, !!(exec->flags & PICKET_EXEC_UPPER_LAYER));
	number_is(judge, PICKET_NUMBER_PID_NAMESPACE, task->pid_namespace);
	number_is(judge, PICKET_NUMBER_MOUNT_NAMESPACE, task->mount_namespace);
	number_is(judge, PICKET_NUMBER_INODE, exec->inode);
	if (exec->inode >> 32)
		source_unknown(judge, PICKET_SOURCE_NUMBER + PICKET_NUMBER_FILE);
	else
		number_is(judge, PICKET_NUMBER_FILE, (__u64)exec->device << 32 | exec->inode);
	judge->set = judge->before_exec ? 0 : exec->capabilities;
	court.tables = tables_of(judge->half);
	if (court.tables)
		bpf_loop(TABLE_HEAD(court.tables)->mask_count, mask_is, &court, 0);
}

static __always_inline void judge_start(struct judge *judge, __u32 kind)
{
	__builtin_memset(judge->atoms, 0, sizeof(judge->atoms));
	judge->atom_words = 0;
	judge->literal_words = 0;
	judge->regex_words = 0;
	judge->unknown[0] = 0;
	judge->unknown[1] = 0;
	judge->unknown[PICKET_SOURCE_NEVER / 64] |= 1ULL << (PICKET_SOURCE_NEVER & 63);
	judge->kind = kind;
	judge->parent = PICKET_UNKNOWN;
}

static __always_inline void verdict_start(struct judge *judge)
{
	__builtin_memset(&judge->verdict, 0, sizeof(judge->verdict));
}

// The units of the image that scratch->exec describes.
__noinline int image_units(struct judge *judge, struct scratch *scratch)
{
	struct place *places, *args;
	COURT(court, judge);

	if (!scratch)
		return 0;
	verdict_start(judge);
	judge_start(judge, PICKET_EXEC);
	judge->unit_words = 0;
	__builtin_memset(judge->unit_true, 0, sizeof(judge->unit_true));
	__builtin_memset(judge->unit_maybe, 0, sizeof(judge->unit_maybe));
	__builtin_memcpy(judge->candidates, TABLE_HEAD(court.tables)->always_units,
			 sizeof(TABLE_HEAD(court.tables)->always_units));
	judge->candidate_words = TABLE_HEAD(court.tables)->always_unit_words;
	exec_places(judge, scratch);
	places = judge->places;

	image_name(judge, scratch, &places[PICKET_EXEC_FILENAME], &places[PICKET_EXEC_PATH]);
	image_text(judge, scratch, PICKET_TEXT_PATH, &places[PICKET_EXEC_PATH]);
	image_text(judge, scratch, PICKET_TEXT_CWD, &places[PICKET_EXEC_CWD]);
	image_text(judge, scratch, PICKET_TEXT_TTY, &places[PICKET_EXEC_TTY]);
	image_text(judge, scratch, PICKET_TEXT_INTERPRETER, &places[PICKET_EXEC_INTERPRETER]);
	if (places[PICKET_EXEC_INTERPRETER].known != PICKET_ABSENT)
		image_script(judge, scratch, &places[PICKET_EXEC_FILENAME], &places[PICKET_EXEC_CWD]);
	args = &places[PICKET_EXEC_ARGS];
	if (args->known == PICKET_KNOWN && !args->len) {
		image_text(judge, scratch, PICKET_TEXT_CMD_LINE, args);
		text_asked(judge, PICKET_TEXT_ARGS, PICKET_KNOWN);
	} else {
		// The last argument's terminator is no part of it. (Where the cut falls
		// behind one, nothing says that the argument ended there.)
		if (args->len && ends_in_nul(scratch, args))
			args->len -= 1;
		image_text(judge, scratch, PICKET_TEXT_CMD_LINE, args);
		image_text(judge, scratch, PICKET_TEXT_ARGS, args);
	}
	image_numbers(judge, &scratch->exec, is_memfd(scratch, &places[PICKET_EXEC_PATH]));
	return programs_run(judge, NULL, LEVEL_UNITS);
}
