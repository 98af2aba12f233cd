// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Before Linux 6.16 the programs of cgroup hooks may refuse, but not send a
// signal. They leave a note, and it is carried out where the kernel returns from
// running them, still in the same hook. Loaded only where it is needed.
#pragma once

#include "decide.h"

static __always_inline int end_condemned(void)
{
	__u64 thread = current_thread();

	if (!bpf_map_lookup_elem(&condemned, &thread))
		return 0;
	bpf_map_delete_elem(&condemned, &thread);
	bpf_send_signal(SIGKILL);
	return 0;
}

SEC("fexit/__cgroup_bpf_run_filter_sock_addr")
int condemned_address(__u64 *ctx)
{
	return end_condemned();
}

SEC("fexit/__cgroup_bpf_run_filter_sk")
int condemned_socket(__u64 *ctx)
{
	return end_condemned();
}

SEC("fexit/__cgroup_bpf_run_filter_skb")
int condemned_packet(__u64 *ctx)
{
	return end_condemned();
}
