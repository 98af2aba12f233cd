// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Absolute paths from dentries and mounts, and texts appended to a record's tail.
// (bpf_d_path is refused in tp_btf programs.)
#pragma once

#include "ring.h"

#define NAME_LIMIT 256 // NAME_MAX and a byte for the slash
// A path of PATH_MAX bytes has at most half as many components; a mount costs a step too.
#define PATH_STEPS 2200
#define CGROUP_STEPS 128

// Who may hold a scratch area at the same time on one CPU. Programs of one
// group cannot interrupt each other: they run with preemption off, in process
// context; the task iterator has one reader only.
enum scratch_user {
	SCRATCH_EXEC,
	SCRATCH_FILE,
	SCRATCH_ITER,
	SCRATCH_TRIAL,
	// Programs of security hooks can be preempted by each other. The loader
	// leaves these out where there are none.
	SCRATCH_FREE,
	SCRATCH_USERS = SCRATCH_FREE + 4,
};

#define TAIL_LIMIT (5 * PICKET_TEXT_MAX)

// A path grows backwards from the end of `text`.
struct walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *mount_root;
	struct kernfs_node *node;
	__u32 start; // of what is written so far
	__u32 known;
	char text[PICKET_TEXT_MAX + NAME_LIMIT];
};

struct scratch {
	struct walk walk;
	__u32 tail_used;
	__u32 held; // of the takers of SCRATCH_FREE: somebody has it
	// Whatever is written ends where the tail begins.
	union {
		struct picket_exec exec;
		struct {
			__u8 before[sizeof(struct picket_exec) - sizeof(struct picket_file)];
			struct picket_file file;
		};
	};
	char tail[TAIL_LIMIT + PICKET_TEXT_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_USERS);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_take(__u32 user)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &user);

	if (scratch)
		scratch->tail_used = 0;
	else
		count_error(PICKET_AT_SCRATCH);
	return scratch;
}

static __always_inline struct scratch *scratch_take_free(void)
{
	struct scratch *scratch;

#pragma unroll
	for (__u32 i = 0; i < SCRATCH_USERS - SCRATCH_FREE; i++) {
		__u32 user = SCRATCH_FREE + i;

		scratch = bpf_map_lookup_elem(&scratches, &user);
		if (scratch && !__sync_val_compare_and_swap(&scratch->held, 0, 1)) {
			scratch->tail_used = 0;
			return scratch;
		}
	}
	count_error(PICKET_AT_SCRATCH);
	return NULL;
}

static __always_inline void scratch_release(struct scratch *scratch)
{
	__sync_lock_test_and_set(&scratch->held, 0);
}

static __always_inline bool walk_prepend(struct walk *walk, const void *name, __u32 len, bool slash)
{
	__u32 start = walk->start;

	if (len > NAME_LIMIT - 1 || start > PICKET_TEXT_MAX || start < len + slash)
		return false;
	start -= len;
	// The masks say to the verifier what the lines above ensure.
	if (bpf_probe_read_kernel(&walk->text[start & (PICKET_TEXT_MAX - 1)],
				  len & (NAME_LIMIT - 1), name))
		return false;
	if (slash) {
		start -= 1;
		walk->text[start & (PICKET_TEXT_MAX - 1)] = '/';
	}
	walk->start = start;
	return true;
}

static long walk_mounts(__u32 index, struct walk **at)
{
	struct walk *walk = *at;
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent = NULL;
	struct mount *up = NULL;
	const void *name = NULL;
	__u32 len = 0;

	if (dentry == walk->mount_root) {
		if (bpf_core_read(&up, sizeof(up), &mount->mnt_parent))
			return 1;
		if (up == mount) {
			walk->known = PICKET_KNOWN;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount_root = BPF_CORE_READ(up, mnt.mnt_root);
		walk->mount = up;
		return 0;
	}
	if (bpf_core_read(&parent, sizeof(parent), &dentry->d_parent) ||
	    bpf_core_read(&name, sizeof(name), &dentry->d_name.name) ||
	    bpf_core_read(&len, sizeof(len), &dentry->d_name.len))
		return 1;
	// A memfd's dentry has no parent and stands in no directory: no slash.
	if (!walk_prepend(walk, name, len, parent != dentry))
		return 1;
	if (parent == dentry) {
		walk->known = PICKET_KNOWN;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

// The absolute path in the mount namespace; a chroot is seen from outside. It
// ends up in walk->text[walk->start..]; "" is the root directory.
static __always_inline void walk_path(struct walk *walk, struct vfsmount *vfsmount,
				      struct dentry *dentry)
{
	struct walk *at = walk;

	walk->dentry = dentry;
	walk->mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	walk->mount_root = BPF_CORE_READ(vfsmount, mnt_root);
	walk->start = PICKET_TEXT_MAX;
	walk->known = PICKET_UNKNOWN;
	if (vfsmount && dentry)
		bpf_loop(PATH_STEPS, walk_mounts, &at, 0);
	// What is cut off here is the beginning, so no part of it is of use.
	if (walk->known != PICKET_KNOWN)
		count_error(PICKET_AT_PATH);
}

static long walk_nodes(__u32 index, struct walk **at)
{
	struct walk *walk = *at;
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = NULL;
	const char *name = NULL;
	char *room;
	long len;

	if (bpf_core_field_exists(node->__parent))
		bpf_core_read(&parent, sizeof(parent), &node->__parent);
	else
		bpf_core_read(&parent, sizeof(parent), &((struct kernfs_node___old *)node)->parent);
	if (!parent) {
		walk->known = PICKET_KNOWN;
		return 1;
	}
	// Its length is known only once it is read: into the slack behind the text.
	room = &walk->text[PICKET_TEXT_MAX];
	bpf_core_read(&name, sizeof(name), &node->name);
	len = bpf_probe_read_kernel_str(room, NAME_LIMIT, name);
	if (len <= 0 || !walk_prepend(walk, room, len - 1, true))
		return 1;
	walk->node = parent;
	return 0;
}

static __always_inline void walk_cgroup(struct walk *walk, struct kernfs_node *node)
{
	struct walk *at = walk;

	walk->node = node;
	walk->start = PICKET_TEXT_MAX;
	walk->known = PICKET_UNKNOWN;
	bpf_loop(CGROUP_STEPS, walk_nodes, &at, 0);
	if (walk->known != PICKET_KNOWN)
		count_error(PICKET_AT_CGROUP);
}

// Where the next text goes; NULL when the record is full, which the limits of
// the texts do not allow.
static __always_inline char *tail_end(struct scratch *scratch)
{
	__u32 used = scratch->tail_used;

	if (used > TAIL_LIMIT)
		return NULL;
	// Keeps the compiler from adding before it has compared, which the
	// verifier would not accept.
	asm volatile("" : "+r"(used));
	return &scratch->tail[used];
}

static __always_inline void text_mark(struct picket_text *text, __u32 known)
{
	text->len = 0;
	text->known = known;
	text->reserved = 0;
}

static __always_inline void text_read(struct scratch *scratch, struct picket_text *text, long read,
				      __u32 place)
{
	if (read <= 0) {
		text_mark(text, PICKET_UNKNOWN);
		count_error(place);
		return;
	}
	// The terminator is not kept; a text that fills its room was cut.
	text->len = read - 1;
	text->known = read == PICKET_TEXT_MAX ? PICKET_TRUNCATED : PICKET_KNOWN;
	text->reserved = 0;
	scratch->tail_used += read - 1;
}

static __always_inline void text_kernel(struct scratch *scratch, struct picket_text *text,
					const void *string)
{
	char *end = tail_end(scratch);

	text_read(scratch, text,
		  end ? bpf_probe_read_kernel_str(end, PICKET_TEXT_MAX, string) : -1,
		  PICKET_AT_TEXT);
}

static __always_inline void text_user(struct scratch *scratch, struct picket_text *text,
				      const void *string)
{
	char *end = tail_end(scratch);

	text_read(scratch, text,
		  end ? bpf_probe_read_user_str(end, PICKET_TEXT_MAX, string) : -1,
		  PICKET_AT_USER_PATH);
}

// The path that was walked last.
static __always_inline void text_walked(struct scratch *scratch, struct picket_text *text)
{
	struct walk *walk = &scratch->walk;
	char *end = tail_end(scratch);
	__u32 start = walk->start;
	__u32 len;

	text_mark(text, PICKET_UNKNOWN);
	if (walk->known != PICKET_KNOWN || !end || start > PICKET_TEXT_MAX)
		return;
	len = PICKET_TEXT_MAX - start;
	if (len == 0) {
		*end = '/';
		len = 1;
	} else if (bpf_probe_read_kernel(end, len, &walk->text[start])) {
		return;
	}
	text->len = len;
	text->known = PICKET_KNOWN;
	scratch->tail_used += len;
}

static __noinline int text_path(struct scratch *scratch, struct picket_text *text,
				struct vfsmount *vfsmount, struct dentry *dentry)
{
	walk_path(&scratch->walk, vfsmount, dentry);
	text_walked(scratch, text);
	return 0;
}
