// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// What a process does to files through io_uring, which no system call shows.
//
// Taken as the request is submitted: its paths are in kernel memory by then, so
// nobody can rewrite them; its result is not known.
#pragma once

#include "file.h"

// enum io_uring_op of linux/io_uring.h
#define IORING_OP_OPENAT 18
#define IORING_OP_OPENAT2 28
#define IORING_OP_RENAMEAT 35
#define IORING_OP_UNLINKAT 36

static __always_inline struct scratch *request_start(__u32 kind)
{
	struct scratch *scratch;

	// Where a security hook judges it, it tells it too, and knows more.
	if (!wanted(kind) || setting(PICKET_SET_LSM) >> (kind & 31) & 1)
		return NULL;
	scratch = file_start(kind, bpf_get_current_task_btf());
	if (scratch)
		scratch->file.error_known = PICKET_UNKNOWN;
	return scratch;
}

static __always_inline int request_submitted(struct io_kiocb *req)
{
	void *command = (void *)req + bpf_core_field_offset(struct io_kiocb, cmd);
	struct scratch *scratch;
	__u8 opcode = req->opcode;
	__u64 flags;

	if (opcode != IORING_OP_OPENAT && opcode != IORING_OP_OPENAT2 &&
	    opcode != IORING_OP_RENAMEAT && opcode != IORING_OP_UNLINKAT)
		return 0;
	if (is_self())
		return 0;
	if (opcode == IORING_OP_RENAMEAT) {
		struct io_rename *rename = command;

		scratch = request_start(PICKET_FILE_RENAME);
		if (!scratch)
			return 0;
		text_given(scratch, PICKET_FILE_DIR, BPF_CORE_READ(rename, new_dfd),
			   BPF_CORE_READ(rename, newpath, name), false);
		text_given(scratch, PICKET_FILE_FROM_DIR, BPF_CORE_READ(rename, old_dfd),
			   BPF_CORE_READ(rename, oldpath, name), false);
	} else if (opcode == IORING_OP_UNLINKAT) {
		struct io_unlink *unlink = command;

		if (BPF_CORE_READ(unlink, flags) & AT_REMOVEDIR)
			return 0;
		scratch = request_start(PICKET_FILE_DELETE);
		if (!scratch)
			return 0;
		text_given(scratch, PICKET_FILE_DIR, BPF_CORE_READ(unlink, dfd),
			   BPF_CORE_READ(unlink, filename, name), false);
	} else {
		struct io_open *open = command;

		flags = BPF_CORE_READ(open, how.flags);
		// Whether the file is there already shows only later; a creation
		// that turns out to be none is the smaller fault.
		scratch = request_start(flags & O_CREAT ? PICKET_FILE_CREATE : PICKET_FILE_OPEN);
		if (!scratch)
			return 0;
		scratch->file.open = open_bits(flags);
		text_given(scratch, PICKET_FILE_DIR, BPF_CORE_READ(open, dfd),
			   BPF_CORE_READ(open, filename, name), false);
	}
	file_output(scratch);
	return 0;
}

// include/trace/events/io_uring.h, since 6.4
SEC("tp_btf/io_uring_submit_req")
int request_submit(__u64 *ctx)
{
	return request_submitted((void *)ctx[0]);
}

// The same before 6.4.
SEC("tp_btf/io_uring_submit_sqe")
int request_submit_old(__u64 *ctx)
{
	return request_submitted((void *)ctx[0]);
}
