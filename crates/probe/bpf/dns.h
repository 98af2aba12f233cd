// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// DNS messages as they leave and enter: copied here, parsed in user space.
//
// On the way out the packet still runs in its sender's context, with two
// exceptions that the socket's owner covers: TCP may send later, from an
// interrupt, and answers arrive in any context.
#pragma once

#include "packet.h"

#define DNS_RESPONSE 0x80 // QR, in the third byte
// More questions in one TCP segment are counted, not read.
#define DNS_PIPELINE 8

// Copies `len` bytes of a message out; `wire_len` is its whole length.
static __always_inline void dns_output(struct __sk_buff *skb, struct segment *segment, __u32 kind,
				       __u32 offset, __u32 len, __u32 wire_len, __u32 room,
				       struct owner *owner, struct task_struct *task)
{
	struct picket_dns *dns;

	dns = record_reserve(kind, sizeof(*dns) + room);
	if (!dns)
		return;
	if (task) {
		head_fill(&dns->head, kind, 0, task);
	} else {
		head_start(&dns->head, kind, 0);
		if (owner) {
			dns->head.flags = owner->flags;
			dns->head.task = owner->task;
		} else {
			__builtin_memset(&dns->head.task, 0, sizeof(dns->head.task));
		}
	}
	segment_address(skb, segment, kind == PICKET_DNS_ANSWER, &dns->remote);
	dns->protocol = wire_protocol(segment->protocol);
	dns->reserved = 0;
	dns->message_len = wire_len;
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

// Follows the stream of length-prefixed messages (RFC 1035 4.2.2) through one
// segment. The state stands in the socket, whose lock is held by every sender.
static __always_inline void dns_stream(struct __sk_buff *skb, struct segment *segment,
				       struct owner *owner)
{
	__u32 offset = segment->offset;
	__u32 left = segment->len;
	__u32 end = segment->sequence + left;
	__u8 prefix[2];
	__u32 take;

	if (owner->tcp_seen) {
		__s32 known = owner->tcp_next - segment->sequence;

		// A retransmission, whole or in part.
		if ((__s32)(end - owner->tcp_next) <= 0)
			return;
		if (known > 0) {
			offset += known;
			left -= known;
		}
	}
	owner->tcp_seen = 1;
	owner->tcp_next = end;
	for (int i = 0; i < DNS_PIPELINE; i++) {
		if (owner->tcp_skip >= left) {
			owner->tcp_skip -= left;
			return;
		}
		offset += owner->tcp_skip;
		left -= owner->tcp_skip;
		owner->tcp_skip = 0;
		if (owner->tcp_prefix < 2) {
			if (bpf_skb_load_bytes(skb, offset, prefix, 1))
				return;
			offset += 1;
			left -= 1;
			owner->tcp_message_len = owner->tcp_message_len << 8 | prefix[0];
			owner->tcp_prefix += 1;
			if (owner->tcp_prefix < 2) {
				if (!left)
					return;
				if (bpf_skb_load_bytes(skb, offset, prefix, 1))
					return;
				offset += 1;
				left -= 1;
				owner->tcp_message_len = owner->tcp_message_len << 8 | prefix[0];
				owner->tcp_prefix = 2;
			}
			if (!left)
				return;
		}
		owner->tcp_prefix = 0;
		take = owner->tcp_message_len;
		if (take > left)
			take = left;
		owner->tcp_skip = owner->tcp_message_len - take;
		if (take)
			dns_output(skb, segment, PICKET_DNS_QUERY, offset, take,
				   owner->tcp_message_len, PICKET_DNS_SHORT, owner, NULL);
		offset += take;
		left -= take;
		if (!left)
			return;
	}
	count_error(PICKET_AT_DNS_PIPELINE);
	// What follows in this segment is not read; the next one may start anywhere.
	owner->tcp_skip = 0;
}

SEC("cgroup_skb/egress")
int dns_egress(struct __sk_buff *skb)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct segment segment = {};
	struct bpf_sock *sk = skb->sk;
	struct owner *owner = NULL;

	if (!segment_parse(skb, &segment) || segment.target_port != DNS_PORT || !segment.len)
		return 1;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (segment.protocol == IPPROTO_TCP) {
		// Without an owner it connected before the sensor started: then
		// the current task is the best guess.
		if (!sk)
			return 1;
		owner = bpf_sk_storage_get(&owners, sk, NULL, 0);
		if (!owner) {
			owner = bpf_sk_storage_get(&owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
			if (!owner) {
				count_error(PICKET_AT_STORAGE);
				return 1;
			}
			owner->flags = task_in_scope(task) ? PICKET_IN_SCOPE : 0;
			task_fill(&owner->task, task);
		}
		dns_stream(skb, &segment, owner);
		return 1;
	}
	// A server's answer to another server's port.
	if (dns_is_response(skb, segment.offset))
		return 1;
	if (sk) {
		owner = bpf_sk_storage_get(&owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (owner) {
			owner->flags = task_in_scope(task) ? PICKET_IN_SCOPE : 0;
			task_fill(&owner->task, task);
		} else {
			count_error(PICKET_AT_STORAGE);
		}
	}
	dns_output(skb, &segment, PICKET_DNS_QUERY, segment.offset, segment.len, segment.len,
		   PICKET_DNS_SHORT, owner, owner ? NULL : task);
	return 1;
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
		dns_output(skb, &segment, PICKET_DNS_ANSWER, offset, len, len, PICKET_DNS_SHORT,
			   owner, NULL);
	else
		dns_output(skb, &segment, PICKET_DNS_ANSWER, offset, len, len, PICKET_DNS_LONG,
			   owner, NULL);
	return 1;
}
