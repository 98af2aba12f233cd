// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Does this kernel call BPF programs from its security hooks? Loaded only to
// find that out: a kernel can accept such a program and never call it.
#pragma once

#include "ring.h"

SEC("lsm/file_open")
int lsm_file_open(__u64 *ctx)
{
	__u32 key = PICKET_SET_LSM_SEEN;
	__u64 seen = 1;

	if (setting(PICKET_SET_SELF) == bpf_get_current_pid_tgid() >> 32)
		bpf_map_update_elem(&picket_settings, &key, &seen, BPF_ANY);
	return 0;
}
