// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Just enough of IP, UDP and TCP to find what a packet carries, and for whom.
#pragma once

#include "network.h"

// How many IPv6 extension headers are skipped; more is not seen in practice.
#define EXTENSION_HEADERS 6
#define FRAGMENT_HEADER 44
#define TCP_FLAG_SYN 0x02

// A packet's transport payload.
struct segment {
	__u32 offset; // of the payload
	__u32 len;
	__u32 sequence; // TCP: of the payload's first byte
	__u16 source_port;
	__u16 target_port;
	__u8 protocol;
	__u8 family; // 4 or 6
	__u8 flags; // TCP
};

static __always_inline bool extension_header(__u8 next)
{
	// Hop-by-hop, routing, destination options (RFC 8200). A fragment header may
	// stand before a whole packet (RFC 6946).
	return next == 0 || next == 43 || next == FRAGMENT_HEADER || next == 60;
}

// Where the transport header begins; 0 where there is none to be read.
static __always_inline __u32 transport_offset(struct __sk_buff *skb, struct segment *segment)
{
	__u8 ip[40];
	__u8 option[4];
	__u32 offset;
	__u8 next;

	if (bpf_skb_load_bytes(skb, 0, ip, 20))
		return 0;
	if (ip[0] >> 4 == 4) {
		// Only the first fragment has a transport header.
		if ((ip[6] & 0x1f) || ip[7])
			return 0;
		segment->family = 4;
		segment->protocol = ip[9];
		return (ip[0] & 0xf) * 4;
	}
	if (ip[0] >> 4 != 6 || bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	segment->family = 6;
	next = ip[6];
	offset = sizeof(ip);
	for (int i = 0; i < EXTENSION_HEADERS && extension_header(next); i++) {
		if (bpf_skb_load_bytes(skb, offset, option, sizeof(option)))
			return 0;
		if (next != FRAGMENT_HEADER)
			offset += (option[1] + 1) * 8;
		else if (option[2] || option[3] & 0xf8) // not the first fragment
			return 0;
		else
			offset += 8;
		next = option[0];
	}
	segment->protocol = next;
	return offset;
}

// False where this is neither UDP nor TCP.
static __always_inline bool segment_parse(struct __sk_buff *skb, struct segment *segment)
{
	__u32 offset = transport_offset(skb, segment);
	__u8 header[20];

	if (!offset)
		return false;
	if (IPPROTO_ANY_UDP(segment->protocol)) {
		if (bpf_skb_load_bytes(skb, offset, header, 8))
			return false;
		offset += 8;
	} else if (segment->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
			return false;
		offset += (header[12] >> 4) * 4;
		segment->sequence = (__u32)header[4] << 24 | header[5] << 16 | header[6] << 8 | header[7];
		segment->flags = header[13];
		if (segment->flags & TCP_FLAG_SYN)
			segment->sequence += 1;
	} else {
		return false;
	}
	segment->source_port = (__u16)(header[0] << 8 | header[1]);
	segment->target_port = (__u16)(header[2] << 8 | header[3]);
	segment->offset = offset;
	segment->len = skb->len > offset ? skb->len - offset : 0;
	return true;
}

// The packet's source or target address.
static __always_inline void segment_address(struct __sk_buff *skb, struct segment *segment,
					    bool source, struct picket_address *out)
{
	__builtin_memset(out, 0, sizeof(*out));
	if (segment->family == 4)
		bpf_skb_load_bytes(skb, source ? 12 : 16, out->ip, 4);
	else
		bpf_skb_load_bytes(skb, source ? 8 : 24, out->ip, 16);
	out->family = segment->family;
	out->port = source ? segment->source_port : segment->target_port;
}
