// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// DNS messages as they leave and enter. Questions are judged before they leave,
// and refused; they are parsed again in user space, as answers are.
//
// On the way out the packet still runs in its sender's context, with two
// exceptions that the socket's owner covers: TCP may send later, from an
// interrupt, and answers arrive in any context.
#pragma once

#include "packet.h"

#define DNS_RESPONSE 0x80 // QR, in the third byte
// More messages in one TCP segment are counted, not read.
#define DNS_PIPELINE 8
// Two steps for a message's length and one for what it holds, or two where an
// earlier one had to be passed over.
#define DNS_STEPS (4 * DNS_PIPELINE)
// UDP_MAX_SEGMENTS of linux/udp.h: at most so many datagrams make one packet here.
#define UDP_SEGMENTS 128

// The place in a TCP stream of length-prefixed messages (RFC 1035 4.2.2), and
// the message at hand as far as it has come: its segments may be small.
struct stream {
	__u32 next; // sequence number behind the last byte seen
	__u32 got; // bytes of the message
	__u16 message_len;
	__u16 kept; // bytes of it in `message`
	__u8 seen;
	__u8 prefix; // bytes of the length seen: 0, 1, 2
	__u8 judged; // the message has been
	__u8 refused; // a message was: nothing leaves any more
	__u8 message[2 * PICKET_DNS_SHORT]; // the second half keeps the verifier quiet
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stream);
} streams SEC(".maps");

// An answer, copied out whole as far as it is of use.
static __always_inline void dns_answer(struct __sk_buff *skb, struct segment *segment,
				       __u32 offset, __u32 len, __u32 room, struct owner *owner)
{
	struct picket_dns *dns;

	dns = record_reserve(PICKET_DNS_ANSWER, sizeof(*dns) + room);
	if (!dns)
		return;
	head_start(&dns->head, PICKET_DNS_ANSWER, 0);
	if (owner) {
		dns->head.flags = owner->flags;
		dns->head.task = owner->task;
	} else {
		__builtin_memset(&dns->head.task, 0, sizeof(dns->head.task));
	}
	segment_address(skb, segment, true, &dns->remote);
	dns->protocol = wire_protocol(segment->protocol);
	dns->reserved = 0;
	dns->message_len = len;
	__builtin_memset(&dns->verdict, 0, sizeof(dns->verdict));
	if (len > room)
		len = room;
	// No change to any length from 1 to `room`, a power of two; the
	// verifiers of older kernels follow a mask where they lose a comparison.
	asm volatile("" : "+r"(len));
	len = ((len - 1) & (room - 1)) + 1;
	if (bpf_skb_load_bytes(skb, offset, dns + 1, len)) {
		count_error(PICKET_AT_PACKET);
		len = 0;
	}
	dns->payload_len = len;
	dns->head.size = sizeof(*dns) + len;
	record_submit(&dns->head);
}

static __always_inline bool dns_is_response(struct __sk_buff *skb, __u32 offset)
{
	__u8 flags = 0;

	return !bpf_skb_load_bytes(skb, offset + 2, &flags, 1) && (flags & DNS_RESPONSE);
}

// What is kept of the process that a packet leaves for. The packet may leave in
// an interrupt, while the process executes elsewhere: then a copy is taken.
static __always_inline struct process_state *sender_state(struct judge *judge, bool present)
{
	struct picket_task *task = &judge->record.head.task;
	struct process_state *state = state_of(task->pid, judge->half);
	__u64 serial;

	if (!state || present)
		return state;
	serial = *(volatile __u64 *)&state->serial;
	__builtin_memcpy(&judge->next, state, sizeof(*state));
	asm volatile("" ::: "memory");
	if (*(volatile __u64 *)&state->serial != serial || judge->next.start_ns != task->start_ns)
		return NULL;
	return &judge->next;
}

// Judges the `len` bytes of a question at judge->record.payload, and tells it.
// `present`: the current task is the sender. Returns whether to refuse.
static __always_inline bool dns_judge(struct judge *judge, __u32 len, bool present)
{
	struct picket_dns *dns = &judge->record.dns;
	struct powers powers = socket_powers();
	struct process_state *actor;
	bool refused = false;

	asm volatile("" : "+r"(len));
	if (len > PICKET_DNS_SHORT)
		len = PICKET_DNS_SHORT;
	dns->payload_len = len;
	__builtin_memset(&judge->verdict, 0, sizeof(judge->verdict));
	if (judge_sits(judge)) {
		bpf_probe_read_kernel(&judge->bytes[DNS_MESSAGE], len, judge->record.payload);
		// The process that is current would be the one to die.
		if (!present)
			powers.kill = KILL_NEVER;
		actor = sender_state(judge, present);
		dns_rules(judge, actor, len);
		refused = decide(judge, actor, &dns->head, powers);
	}
	dns->verdict = judge->verdict;
	record_output(&dns->head, sizeof(*dns) + len, &dns->verdict);
	return refused;
}

struct stream_walk {
	struct __sk_buff *skb;
	struct stream *stream;
	struct judge *judge;
	__u64 present;
};

// One piece of a segment: a byte of a message's length, or what there is of a
// message. What changes stands in the socket, whose lock every sender holds.
static long stream_piece(__u32 index, struct stream_walk *walk)
{
	struct stream *stream = walk->stream;
	struct judge *judge = walk->judge;
	__u32 left = judge->packet_left;
	__u32 kept = stream->kept;
	__u32 take, keep;
	__u8 byte;

	if (!left)
		return 1;
	if (stream->prefix < 2) {
		if (bpf_skb_load_bytes(walk->skb, judge->packet_at, &byte, 1))
			return 1;
		stream->message_len = stream->message_len << 8 | byte;
		stream->prefix += 1;
		judge->packet_at += 1;
		judge->packet_left = left - 1;
		return 0;
	}
	take = stream->message_len - stream->got;
	if (take > left)
		take = left;
	keep = kept < PICKET_DNS_SHORT ? PICKET_DNS_SHORT - kept : 0;
	if (keep > take)
		keep = take;
	if (keep) {
		stream->kept = kept + keep;
		// The masks say to the verifier what the lines above ensure.
		asm volatile("" : "+r"(keep));
		keep = ((keep - 1) & (PICKET_DNS_SHORT - 1)) + 1;
		if (bpf_skb_load_bytes(walk->skb, judge->packet_at,
				       &stream->message[kept & (PICKET_DNS_SHORT - 1)], keep))
			count_error(PICKET_AT_PACKET);
	}
	stream->got += take;
	judge->packet_at += take;
	judge->packet_left = left - take;
	// Judged when it is whole, or when enough of it is there.
	if (!stream->judged && (stream->got >= stream->message_len || stream->kept >= PICKET_DNS_SHORT)) {
		stream->judged = 1;
		judge->record.dns.message_len = stream->message_len;
		__builtin_memcpy(judge->record.payload, stream->message,
				 sizeof(judge->record.payload));
		if (stream->kept && dns_judge(judge, stream->kept, walk->present))
			stream->refused = 1;
	}
	if (stream->got >= stream->message_len) {
		stream->prefix = 0;
		stream->message_len = 0;
		stream->got = 0;
		stream->kept = 0;
		stream->judged = 0;
	}
	return stream->refused != 0;
}

// Follows the stream through one segment; returns whether to refuse it.
static __always_inline bool dns_stream(struct __sk_buff *skb, struct segment *segment,
				  struct stream *stream, struct judge *judge, bool present)
{
	struct stream_walk walk = { .skb = skb, .stream = stream, .judge = judge };
	__u32 end = segment->sequence + segment->len;

	walk.present = present;
	judge->packet_at = segment->offset;
	judge->packet_left = segment->len;
	if (stream->seen) {
		__s32 known = stream->next - segment->sequence;

		// A retransmission, whole or in part.
		if ((__s32)(end - stream->next) <= 0)
			return stream->refused;
		if (known > 0) {
			judge->packet_at += known;
			judge->packet_left -= known;
		}
	}
	stream->seen = 1;
	stream->next = end;
	bpf_loop(DNS_STEPS, stream_piece, &walk, 0);
	if (judge->packet_left && !stream->refused) {
		count_error(PICKET_AT_DNS_PIPELINE);
		// What follows in this segment is not read; the next one may start anywhere.
		stream->prefix = 0;
		stream->got = 0;
		stream->kept = 0;
	}
	return stream->refused;
}

static __noinline int dns_over_tcp(struct __sk_buff *skb, struct segment *segment,
				   struct bpf_sock *sk)
{
	struct owner *owner = bpf_sk_storage_get(&owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	struct stream *stream = bpf_sk_storage_get(&streams, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	struct task_struct *task = bpf_get_current_task_btf();
	struct judge *judge;
	bool refused;

	if (!owner || !stream) {
		count_error(PICKET_AT_STORAGE);
		return 0;
	}
	if (stream->refused)
		return 1;
	judge = judge_begin(PICKET_DNS_QUERY, 0);
	if (!judge)
		return 0;
	// Without an owner it connected before the sensor started: then the
	// current task is the best guess.
	if (owner->task.pid) {
		judge->record.head.flags = owner->flags;
		judge->record.head.task = owner->task;
	} else {
		owner_set(owner, &judge->record.head);
	}
	segment_address(skb, segment, false, &judge->record.dns.remote);
	judge->record.dns.protocol = IPPROTO_TCP;
	judge->record.dns.reserved = 0;
	refused = dns_stream(skb, segment, stream, judge,
			     owner->task.pid == (__u32)task->tgid);
	judge_release(judge);
	return refused;
}

struct datagram_walk {
	struct __sk_buff *skb;
	struct judge *judge;
	__u32 size; // of a datagram
	__u32 refused;
};

// One datagram.
static long datagram_piece(__u32 index, struct datagram_walk *walk)
{
	struct judge *judge = walk->judge;
	__u32 left = judge->packet_left;
	__u32 at = judge->packet_at;
	__u32 len = walk->size;

	if (!left)
		return 1;
	if (len > left)
		len = left;
	judge->packet_at = at + len;
	judge->packet_left = left - len;
	// A server's answer to another server's port.
	if (dns_is_response(walk->skb, at))
		return 0;
	judge->record.dns.message_len = len;
	if (len > PICKET_DNS_SHORT)
		len = PICKET_DNS_SHORT;
	asm volatile("" : "+r"(len));
	len = ((len - 1) & (PICKET_DNS_SHORT - 1)) + 1;
	if (bpf_skb_load_bytes(walk->skb, at, judge->record.payload, len)) {
		count_error(PICKET_AT_PACKET);
		len = 0;
	}
	walk->refused = dns_judge(judge, len, true);
	return walk->refused;
}

static __noinline int dns_over_udp(struct __sk_buff *skb, struct segment *segment,
				   struct bpf_sock *sk)
{
	struct datagram_walk walk = { .skb = skb };
	struct judge *judge;
	struct owner *owner;

	judge = judge_begin(PICKET_DNS_QUERY, 0);
	if (!judge)
		return 0;
	if (sk) {
		owner = bpf_sk_storage_get(&owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (owner)
			owner_set(owner, &judge->record.head);
		else
			count_error(PICKET_AT_STORAGE);
	}
	segment_address(skb, segment, false, &judge->record.dns.remote);
	judge->record.dns.protocol = wire_protocol(segment->protocol);
	judge->record.dns.reserved = 0;
	walk.judge = judge;
	// With UDP_SEGMENT, one send is many datagrams that the kernel, or the device,
	// cuts apart later. All of them are refused for one.
	walk.size = skb->gso_size ?: segment->len;
	judge->packet_at = segment->offset;
	judge->packet_left = segment->len;
	bpf_loop(UDP_SEGMENTS, datagram_piece, &walk, 0);
	judge_release(judge);
	return walk.refused;
}

// What a process sends through a raw socket. The kernel has raw sockets of its
// own, with which it answers strangers: such TCP segments begin nothing and carry
// nothing (tcp_v4_send_reset, tcp_v4_send_ack).
static __always_inline bool is_raw_attempt(struct bpf_sock *sk, struct segment *segment)
{
	if (sk->type != SOCK_RAW)
		return false;
	return segment->protocol != IPPROTO_TCP || segment->flags & TCP_FLAG_SYN || segment->len;
}

// A packet from a raw socket reaches anybody without connect(2) or a send with
// an address: it is the attempt.
static __noinline bool raw_attempt(struct __sk_buff *skb, struct segment *segment)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct picket_connect *connect;
	struct process_state *actor;
	struct judge *judge;
	bool refused = false, told;

	judge = judge_begin(PICKET_CONNECT, sizeof(*connect));
	if (!judge)
		return false;
	connect = &judge->record.connect;
	connect->cookie = cookie;
	segment_address(skb, segment, false, &connect->remote);
	segment_address(skb, segment, true, &connect->local);
	connect->protocol = wire_protocol(segment->protocol);
	connect->reserved = 0;
	connect->error = 0;
	// Nobody will tell what became of it.
	connect->error_known = PICKET_KNOWN;
	told = udp_repeated(cookie, &connect->remote);
	if (judge_sits(judge)) {
		actor = state_of(connect->head.task.pid, judge->half);
		connect_rules(judge, actor);
		refused = decide(judge, actor, &connect->head, socket_powers());
	}
	if (refused)
		connect->error = EPERM;
	connect->verdict = judge->verdict;
	if (!told)
		record_output(&connect->head, sizeof(*connect), &connect->verdict);
	judge_release(judge);
	return refused;
}

SEC("cgroup_skb/egress")
int dns_egress(struct __sk_buff *skb)
{
	struct segment segment = {};
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!segment_parse(skb, &segment))
		return 1;
	if (sk && is_raw_attempt(sk, &segment) && raw_attempt(skb, &segment))
		return 0;
	if (segment.target_port != DNS_PORT || !segment.len)
		return 1;
	if (segment.protocol != IPPROTO_TCP)
		return !dns_over_udp(skb, &segment, sk);
	return !sk || !dns_over_tcp(skb, &segment, sk);
}

SEC("cgroup_skb/ingress")
int dns_ingress(struct __sk_buff *skb)
{
	struct segment segment = {};
	struct bpf_sock *sk = skb->sk;
	struct owner *owner = NULL;
	__u8 prefix[2];
	__u32 offset, len;

	if (!segment_parse(skb, &segment) || segment.source_port != DNS_PORT)
		return 1;
	offset = segment.offset;
	len = segment.len;
	if (segment.protocol == IPPROTO_TCP) {
		// Only an answer that begins a segment and ends in it: there is
		// no reassembly here.
		if (len < 2 || bpf_skb_load_bytes(skb, offset, prefix, sizeof(prefix)))
			return 1;
		offset += 2;
		len -= 2;
		if ((__u32)(prefix[0] << 8 | prefix[1]) > len) {
			count_error(PICKET_AT_DNS_SPLIT);
			return 1;
		}
		len = prefix[0] << 8 | prefix[1];
	}
	if (len < DNS_HEADER_LEN || !dns_is_response(skb, offset))
		return 1;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk)
		owner = bpf_sk_storage_get(&owners, sk, NULL, 0);
	if (len <= PICKET_DNS_SHORT)
		dns_answer(skb, &segment, offset, len, PICKET_DNS_SHORT, owner);
	else
		dns_answer(skb, &segment, offset, len, PICKET_DNS_LONG, owner);
	return 1;
}
