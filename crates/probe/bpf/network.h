// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Outbound connections, what became of them, and sockets that listen.
//
// The attempt is taken in the cgroup hooks, in the caller's own context, and
// refused there; the outcome where TCP changes state, tied to it by the socket's
// cookie.
#pragma once

#include "event_rules.h"

#define DNS_PORT 53

// A socket's owner: who connected it or asked a DNS question through it, for
// what happens later in no process's context.
struct owner {
	struct picket_task task;
	__u32 flags; // of picket_record
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct owner);
} owners SEC(".maps");

struct udp_flow {
	__u64 cookie;
	struct picket_address remote;
	__u32 reserved;
};

// When an unconnected UDP socket was last reported with that destination.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct udp_flow);
	__type(value, __u64);
} udp_seen SEC(".maps");

struct connecting {
	__u64 cookie;
	__u64 protocol;
};

// Threads inside connect(2), by pid_tgid; only with PICKET_SET_CONNECT_STATUS.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct connecting);
} pending SEC(".maps");

static __always_inline void address_v4(struct picket_address *out, __u32 ip, __u16 port)
{
	__builtin_memset(out->ip, 0, sizeof(out->ip));
	__builtin_memcpy(out->ip, &ip, sizeof(ip));
	out->port = port;
	out->family = 4;
}

static __always_inline void address_v6(struct picket_address *out, const __u32 ip[4], __u16 port)
{
	__builtin_memcpy(out->ip, ip, sizeof(out->ip));
	out->port = port;
	out->family = 6;
}

static __always_inline void owner_set(struct owner *owner, struct picket_record *head)
{
	owner->task = head->task;
	owner->flags = head->flags;
}

// 0: neither TCP nor UDP.
static __always_inline __u16 wire_protocol(__u32 protocol)
{
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP)
		return IPPROTO_TCP;
	if (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)
		return IPPROTO_UDP;
	return 0;
}

// What a hook of sockets can do.
static __always_inline struct powers socket_powers(void)
{
	struct powers powers = { .deny = true, .kill = KILL_NEVER };

	if (cgroup_can_kill)
		powers.kill = KILL_NOW;
	else if (setting(PICKET_SET_EXIT_HOOKS))
		powers.kill = KILL_AT_EXIT;
	return powers;
}

// The judge of an event that is a connection, a listening socket or a DNS
// question; released by the caller. Its record is empty but for the head.
static __always_inline struct judge *judge_begin(__u32 kind, __u32 size)
{
	struct judge *judge = judge_take_free();

	if (!judge) {
		count_error(PICKET_AT_JUDGE);
		count_drop(kind);
		return NULL;
	}
	head_fill(&judge->record.head, kind, size, bpf_get_current_task_btf());
	__builtin_memset(&judge->verdict, 0, sizeof(judge->verdict));
	return judge;
}

// Whether tables are in force; then the judge is set on their half.
static __always_inline bool judge_sits(struct judge *judge)
{
	__u64 half = setting(PICKET_SET_TABLES);

	judge->half = (half - 1) & 1;
	return half;
}

// in_connect: in connect(2), and not in a send on an unconnected socket.
// told: this socket's sends there were reported not long ago.
// Returns whether to refuse.
static __noinline bool connect_attempt(struct bpf_sock_addr *ctx, struct picket_address *remote,
				       struct picket_address *local, bool in_connect, bool told)
{
	__u16 protocol = wire_protocol(ctx->protocol);
	bool awaited = in_connect && setting(PICKET_SET_CONNECT_STATUS);
	struct picket_connect *connect;
	struct process_state *actor;
	struct judge *judge;
	struct owner *owner;
	bool refused = false;

	if (!protocol || (told && !setting(PICKET_SET_TABLES)))
		return false;
	judge = judge_begin(PICKET_CONNECT, sizeof(*connect));
	if (!judge)
		return false;
	connect = &judge->record.connect;
	connect->cookie = bpf_get_socket_cookie(ctx);
	connect->remote = *remote;
	connect->local = *local;
	connect->protocol = protocol;
	connect->reserved = 0;
	// UDP waits for nobody: where the end of the call is not looked at, it
	// went well for all that can be known.
	connect->error = 0;
	connect->error_known = protocol == IPPROTO_UDP && !awaited ? PICKET_KNOWN : PICKET_UNKNOWN;
	if (judge_sits(judge)) {
		actor = state_of(connect->head.task.pid, judge->half);
		connect_rules(judge, actor);
		refused = decide(judge, actor, &connect->head, socket_powers());
	}
	connect->verdict = judge->verdict;
	if (refused) {
		connect->error = EPERM;
		connect->error_known = PICKET_KNOWN;
	} else if (protocol == IPPROTO_TCP && ctx->sk) {
		owner = bpf_sk_storage_get(&owners, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (owner)
			owner_set(owner, &connect->head);
		else
			count_error(PICKET_AT_STORAGE);
	}
	if (awaited && !refused) {
		__u64 thread = (__u64)connect->head.task.pid << 32 | connect->head.task.tid;
		struct connecting call = { .cookie = connect->cookie, .protocol = protocol };

		if (bpf_map_update_elem(&pending, &thread, &call, BPF_ANY))
			count_error(PICKET_AT_PENDING);
	}
	if (!told)
		record_output(&connect->head, sizeof(*connect), &connect->verdict);
	judge_release(judge);
	return refused;
}

static __always_inline void local_v4(struct bpf_sock_addr *ctx, struct picket_address *local)
{
	if (ctx->sk && ctx->sk->src_port)
		address_v4(local, ctx->sk->src_ip4, ctx->sk->src_port);
}

static __always_inline void local_v6(struct bpf_sock_addr *ctx, struct picket_address *local)
{
	if (ctx->sk && ctx->sk->src_port) {
		__u32 from[4] = { ctx->sk->src_ip6[0], ctx->sk->src_ip6[1], ctx->sk->src_ip6[2],
				  ctx->sk->src_ip6[3] };

		address_v6(local, from, ctx->sk->src_port);
	}
}

static __always_inline void remote_v6(struct bpf_sock_addr *ctx, struct picket_address *remote)
{
	__u32 ip[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

	address_v6(remote, ip, bpf_ntohs((__u16)ctx->user_port));
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	struct picket_address remote, local = {};

	address_v4(&remote, ctx->user_ip4, bpf_ntohs((__u16)ctx->user_port));
	local_v4(ctx, &local);
	return !connect_attempt(ctx, &remote, &local, true, false);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	struct picket_address remote, local = {};

	remote_v6(ctx, &remote);
	local_v6(ctx, &local);
	return !connect_attempt(ctx, &remote, &local, true, false);
}

// True when this socket was reported with this destination not long ago.
static __always_inline bool udp_repeated(__u64 cookie, struct picket_address *remote)
{
	struct udp_flow flow = {};
	__u64 now = bpf_ktime_get_boot_ns();
	__u64 *seen;

	flow.cookie = cookie;
	flow.remote = *remote;
	seen = bpf_map_lookup_elem(&udp_seen, &flow);
	if (seen) {
		if (now - *seen < setting(PICKET_SET_UDP_REPEAT_NS))
			return true;
		*seen = now;
		return false;
	}
	if (bpf_map_update_elem(&udp_seen, &flow, &now, BPF_ANY))
		count_error(PICKET_AT_UDP_SEEN);
	return false;
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	struct picket_address remote, local = {};
	bool told;

	address_v4(&remote, ctx->user_ip4, bpf_ntohs((__u16)ctx->user_port));
	told = udp_repeated(bpf_get_socket_cookie(ctx), &remote);
	local_v4(ctx, &local);
	return !connect_attempt(ctx, &remote, &local, false, told);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	struct picket_address remote, local = {};
	bool told;

	remote_v6(ctx, &remote);
	told = udp_repeated(bpf_get_socket_cookie(ctx), &remote);
	local_v6(ctx, &local);
	return !connect_attempt(ctx, &remote, &local, false, told);
}

static __always_inline void connect_outcome(__u64 cookie, __s32 error, struct owner *owner,
					    struct task_struct *task)
{
	struct picket_connect_outcome *outcome;

	outcome = record_reserve(PICKET_CONNECT_OUTCOME, sizeof(*outcome));
	if (!outcome)
		return;
	if (owner) {
		head_start(&outcome->head, PICKET_CONNECT_OUTCOME, sizeof(*outcome));
		outcome->head.flags = owner->flags;
		outcome->head.task = owner->task;
	} else {
		head_fill(&outcome->head, PICKET_CONNECT_OUTCOME, sizeof(*outcome), task);
	}
	outcome->cookie = cookie;
	outcome->error = error;
	outcome->reserved = 0;
	record_submit(&outcome->head);
}

// Judges judge->record.listen, and tells it. Returns whether to refuse.
static __always_inline bool listen_judge(struct judge *judge, struct powers powers)
{
	struct picket_listen *listen = &judge->record.listen;
	struct process_state *actor;
	bool refused = false;

	if (judge_sits(judge)) {
		actor = state_of(listen->head.task.pid, judge->half);
		listen_rules(judge, actor);
		refused = decide(judge, actor, &listen->head, powers);
	}
	listen->verdict = judge->verdict;
	record_output(&listen->head, sizeof(*listen), &listen->verdict);
	judge_release(judge);
	return refused;
}

// Where a TCP socket listens; false where it is none of IP's.
static __always_inline bool listen_address(struct picket_listen *listen, struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	__builtin_memset(&listen->local, 0, sizeof(listen->local));
	listen->local.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (family == AF_INET6) {
		listen->local.family = 6;
		bpf_core_read(&listen->local.ip, sizeof(listen->local.ip),
			      &sk->__sk_common.skc_v6_rcv_saddr);
	} else {
		listen->local.family = 4;
		bpf_core_read(&listen->local.ip, sizeof(__u32), &sk->__sk_common.skc_rcv_saddr);
	}
	listen->protocol = IPPROTO_TCP;
	listen->reserved = 0;
	return family == AF_INET || family == AF_INET6;
}

static __noinline int tcp_listens(struct sock *sk)
{
	struct powers powers = { .kill = KILL_NOW };
	struct judge *judge = judge_begin(PICKET_LISTEN, sizeof(struct picket_listen));

	if (!judge)
		return 0;
	listen_address(&judge->record.listen, sk);
	listen_judge(judge, powers);
	return 0;
}

// include/trace/events/sock.h. LISTEN is entered in the caller's context; the
// end of a handshake may be seen in any.
SEC("tp_btf/inet_sock_set_state")
int tcp_state(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	__u32 from = ctx[1];
	__u32 to = ctx[2];
	struct owner *owner;
	__u64 thread;
	__s32 error = 0;

	if (!IPPROTO_ANY_TCP(sk->sk_protocol))
		return 0;
	if (to == TCP_LISTEN) {
		if (wanted(PICKET_LISTEN))
			tcp_listens(sk);
		return 0;
	}
	if (from != TCP_SYN_SENT && from != TCP_SYN_RECV)
		return 0;
	if (to != TCP_ESTABLISHED && to != TCP_CLOSE)
		return 0;
	// Only sockets that connected have an owner.
	owner = bpf_sk_storage_get(&owners, sk, NULL, 0);
	if (!owner)
		return 0;
	if (to == TCP_CLOSE) {
		error = sk->sk_err;
		// Closed by its owner before anybody answered.
		if (!error)
			error = ECANCELED;
	}
	if (setting(PICKET_SET_CONNECT_STATUS)) {
		thread = (__u64)owner->task.pid << 32 | owner->task.tid;
		bpf_map_delete_elem(&pending, &thread);
	}
	connect_outcome(bpf_get_socket_cookie(sk), error, owner, NULL);
	// Many connections live long; only those to a resolver need it again.
	if (sk->__sk_common.skc_dport != bpf_htons(DNS_PORT))
		bpf_sk_storage_delete(&owners, sk);
	return 0;
}

// A connect(2) that failed before TCP changed state, or any on UDP.
SEC("tracepoint/syscalls/sys_exit_connect")
int connect_exit(struct sys_exit_ctx *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct connecting *found = bpf_map_lookup_elem(&pending, &thread);
	__s64 error = -ctx->ret;
	struct connecting call;

	if (!found)
		return 0;
	call = *found;
	bpf_map_delete_elem(&pending, &thread);
	// These leave a handshake going; its end is seen elsewhere.
	if (call.protocol == IPPROTO_TCP &&
	    (error <= 0 || error == EINPROGRESS || error == EALREADY || error == EINTR))
		return 0;
	connect_outcome(call.cookie, error, NULL, bpf_get_current_task_btf());
	return 0;
}

// Only an explicit bind(2) comes here: the port that the kernel chooses for a
// socket which merely sends does not.
static __noinline bool udp_bound(struct picket_address *local)
{
	struct judge *judge = judge_begin(PICKET_LISTEN, sizeof(struct picket_listen));

	if (!judge)
		return false;
	judge->record.listen.local = *local;
	judge->record.listen.protocol = IPPROTO_UDP;
	judge->record.listen.reserved = 0;
	return listen_judge(judge, socket_powers());
}

SEC("cgroup/post_bind4")
int post_bind4(struct bpf_sock *ctx)
{
	struct picket_address local;

	if (!IPPROTO_ANY_UDP(ctx->protocol))
		return 1;
	address_v4(&local, ctx->src_ip4, ctx->src_port);
	return !udp_bound(&local);
}

SEC("cgroup/post_bind6")
int post_bind6(struct bpf_sock *ctx)
{
	struct picket_address local;
	__u32 ip[4] = { ctx->src_ip6[0], ctx->src_ip6[1], ctx->src_ip6[2], ctx->src_ip6[3] };

	if (!IPPROTO_ANY_UDP(ctx->protocol))
		return 1;
	address_v6(&local, ip, ctx->src_port);
	return !udp_bound(&local);
}
