// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Rules on files: the paths of scratch->file, as the rules ask them.
#pragma once

#include "event_rules.h"

static __always_inline void file_places(struct judge *judge, struct scratch *scratch)
{
	__u32 at = 0;

	for (int i = 0; i < PICKET_FILE_TEXTS; i++) {
		judge->places[i].at = at;
		judge->places[i].len = scratch->file.texts[i].len;
		judge->places[i].known = scratch->file.texts[i].known;
		at += scratch->file.texts[i].len;
	}
}

// Looks for `.`, `..` and empty components in what was given.
static long detour_byte(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u32 at = judge->at;
	char c = at < judge->end ? judge->bytes[at & (PICKET_TEXT_MAX - 1)] : '/';

	judge->at = at + 1;
	if (c == '/') {
		// state: dots at the beginning of the component; high: other bytes
		if (!judge->high && judge->state <= 2) {
			judge->whole = 0;
			return 1;
		}
		judge->state = 0;
		judge->high = 0;
	} else if (c == '.' && !judge->high) {
		judge->state += 1;
	} else {
		judge->high = 1;
	}
	return at >= judge->end;
}

// Puts the path together that `given` names below `base`; how much of it is
// known. One with detours is left to user space.
static __always_inline __u32 path_bytes(struct judge *judge, struct scratch *scratch,
				   struct place *base, struct place *given)
{
	struct court court = { .judge = judge };
	__u32 end, skip = 0;

	judge->end = 0;
	if (base->known == PICKET_ABSENT) {
		if (given->known != PICKET_KNOWN && given->known != PICKET_TRUNCATED)
			return given->known;
		return bytes_add(judge, scratch, given->at, given->len) ? given->known :
									   PICKET_UNKNOWN;
	}
	if (given->known == PICKET_ABSENT)
		return PICKET_ABSENT;
	if (base->known != PICKET_KNOWN || given->known != PICKET_KNOWN || !given->len)
		return PICKET_UNKNOWN;
	if (!bytes_add(judge, scratch, base->at, base->len))
		return PICKET_UNKNOWN;
	// Only the root directory ends in a slash.
	end = base->len == 1 ? 0 : judge->end;
	if (end >= PICKET_TEXT_MAX)
		return PICKET_UNKNOWN;
	judge->bytes[end] = '/';
	judge->end = end + 1;
	judge->at = end + 1;
	if (given->at <= TAIL_LIMIT && scratch->tail[given->at] == '/')
		skip = 1;
	if (given->len == skip || !bytes_add(judge, scratch, given->at + skip, given->len - skip))
		return PICKET_UNKNOWN;
	judge->state = 0;
	judge->high = 0;
	judge->whole = 1;
	bpf_loop(PICKET_TEXT_MAX + 1, detour_byte, &court, 0);
	return judge->whole ? PICKET_KNOWN : PICKET_UNKNOWN;
}

static __always_inline int path_is(struct judge *judge, __u32 text, __u32 known)
{
	__u32 end = judge->end;

	if (text_asked(judge, text, known)) {
		judge->end = end;
		text_is(judge, text);
	}
	judge->end = end;
	return 0;
}

// The path's folder and name, of which a cut path says nothing.
static __always_inline int path_parts(struct judge *judge, __u32 known)
{
	struct court court = { .judge = judge };
	__u32 end = judge->end, start, len;

	if (known == PICKET_TRUNCATED)
		known = PICKET_UNKNOWN;
	if (known != PICKET_KNOWN || end > PICKET_TEXT_MAX) {
		path_is(judge, PICKET_TEXT_FILE_FOLDER, known);
		return path_is(judge, PICKET_TEXT_FILE_NAME, known);
	}
	judge->at = end;
	bpf_loop(end, name_back, &court, 0);
	start = judge->at;
	if (start > PICKET_TEXT_MAX)
		return 0;
	// Without a slash there is no folder; of what stands in the root, it is `/`.
	judge->end = start > 1 ? start - 1 : start;
	path_is(judge, PICKET_TEXT_FILE_FOLDER, PICKET_KNOWN);
	len = end - start;
	if (len > PICKET_TEXT_MAX)
		return 0;
	if (bpf_probe_read_kernel(judge->bytes, len, &judge->bytes[start]))
		return 0;
	judge->end = len;
	return path_is(judge, PICKET_TEXT_FILE_NAME, PICKET_KNOWN);
}

__noinline int file_rules(struct judge *judge, struct process_state *actor, struct scratch *scratch)
{
	struct place *places;
	__u32 kind, known;
	COURT(court, judge);

	if (!scratch)
		return 0;
	kind = scratch->file.head.kind;
	if (!event_start(judge, actor, &scratch->file.head, kind))
		return 0;
	file_places(judge, scratch);
	places = judge->places;
	if (kind == PICKET_FILE_RENAME) {
		known = path_bytes(judge, scratch, &places[PICKET_FILE_FROM_DIR],
				   &places[PICKET_FILE_FROM]);
		path_is(judge, PICKET_TEXT_RENAME_FROM, known);
	}
	known = path_bytes(judge, scratch, &places[PICKET_FILE_DIR], &places[PICKET_FILE_PATH]);
	path_is(judge, PICKET_TEXT_FILE, known);
	path_parts(judge, known);
	if (scratch->file.open & PICKET_OPEN_UNTOLD) {
		number_unknown(judge, PICKET_NUMBER_OPEN_READ);
		number_unknown(judge, PICKET_NUMBER_OPEN_WRITE);
		number_unknown(judge, PICKET_NUMBER_OPEN_CREATE);
	} else if (kind == PICKET_FILE_OPEN || kind == PICKET_FILE_CREATE) {
		number_is(judge, PICKET_NUMBER_OPEN_READ, !!(scratch->file.open & PICKET_OPEN_READ));
		number_is(judge, PICKET_NUMBER_OPEN_WRITE, !!(scratch->file.open & PICKET_OPEN_WRITE));
		number_is(judge, PICKET_NUMBER_OPEN_CREATE, !!(scratch->file.open & PICKET_OPEN_CREATE));
	}
	if (kind == PICKET_FILE_CHMOD)
		number_is(judge, PICKET_NUMBER_MODE, scratch->file.mode);
	if (scratch->file.error_known == PICKET_KNOWN)
		number_is(judge, PICKET_NUMBER_STATUS, scratch->file.error);
	else
		number_unknown(judge, PICKET_NUMBER_STATUS);
	programs_run(judge, actor, LEVEL_RULES);
	return 0;
}
