// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Rules on connections, listening sockets and DNS questions: what the record
// says, as the rules ask it.
#pragma once

#include "rules.h"
#include "subject.h"

// Where a DNS message lies while its name is read into judge->bytes.
#define DNS_MESSAGE PICKET_TEXT_MAX
#define DNS_HEADER_LEN 12
#define DNS_NAME_MAX 255 // RFC 1035 3.1, of the wire form

// An IPv6 address among intervals of its own.
static __noinline int address6_is(struct judge *judge, __u32 which, __u64 upper, __u64 lower)
{
	struct picket_number_table *table;
	struct picket_bound *bound;
	__u32 low = 0, high, middle;
	COURT(court, judge);

	if (which >= PICKET_SOURCE_ADDRESSES)
		return 0;
	table = &TABLE_HEAD(court.tables)->addresses[which];
	if (table->exists)
		judge_atom(judge, table->exists - 1);
	if (!table->lists)
		return 0;
	high = table->count;
	for (int i = 0; i < 14 && low < high; i++) {
		middle = (low + high) / 2;
		bound = TABLE_AT(struct picket_bound, court.tables, table->bounds + middle);
		if (upper < bound->upper || (upper == bound->upper && lower < bound->lower))
			high = middle;
		else
			low = middle + 1;
	}
	judge_list(judge, court.tables, table->lists, low);
	bpf_loop(judge->list_left, add_atoms, &court, 0);
	return 0;
}

__noinline int address_is(struct judge *judge, struct picket_address *address, __u32 which,
			  __u32 number)
{
	__u64 upper, lower;

	if (!judge || !address)
		return 0;
	if (address->family == 4)
		return number_is(judge, number, bpf_ntohl(*(__u32 *)address->ip));
	upper = bpf_be64_to_cpu(*(__u64 *)address->ip);
	lower = bpf_be64_to_cpu(*(__u64 *)&address->ip[8]);
	// An IPv4 address in IPv6's clothes is IPv4 (RFC 4291 2.5.5.2).
	if (!upper && lower >> 32 == 0xffff)
		return number_is(judge, number, (__u32)lower);
	return address6_is(judge, which, upper, lower);
}

// Begins to judge an event of this kind; false where no rule is about it.
static __always_inline bool event_start(struct judge *judge, struct process_state *actor,
					struct picket_record *head, __u32 kind)
{
	__u8 *tables = tables_of(judge->half);

	judge_start(judge, kind);
	if (!tables)
		return false;
	judge->verdict.tables = TABLE_HEAD(tables)->version;
	if (!(TABLE_HEAD(tables)->kinds >> kind & 1))
		return false;
	rules_start(judge, actor);
	actor_numbers(judge, &head->task);
	return true;
}

// The rules on judge->record.connect.
__noinline int connect_rules(struct judge *judge, struct process_state *actor)
{
	struct picket_connect *connect;

	if (!judge)
		return false;
	connect = &judge->record.connect;
	if (!event_start(judge, actor, &connect->head, PICKET_CONNECT))
		return false;
	address_is(judge, &connect->remote, PICKET_ADDRESS_DST, PICKET_NUMBER_DST_IP4);
	number_is(judge, PICKET_NUMBER_DST_PORT, connect->remote.port);
	if (connect->local.family) {
		address_is(judge, &connect->local, PICKET_ADDRESS_SRC, PICKET_NUMBER_SRC_IP4);
		number_is(judge, PICKET_NUMBER_SRC_PORT, connect->local.port);
	}
	number_is(judge, PICKET_NUMBER_PROTOCOL, connect->protocol);
	if (connect->error_known == PICKET_KNOWN)
		number_is(judge, PICKET_NUMBER_STATUS, connect->error);
	else
		number_unknown(judge, PICKET_NUMBER_STATUS);
	programs_run(judge, actor, LEVEL_RULES);
	return true;
}

// The rules on judge->record.listen.
__noinline int listen_rules(struct judge *judge, struct process_state *actor)
{
	struct picket_listen *listen;

	if (!judge)
		return false;
	listen = &judge->record.listen;
	if (!event_start(judge, actor, &listen->head, PICKET_LISTEN))
		return false;
	address_is(judge, &listen->local, PICKET_ADDRESS_SRC, PICKET_NUMBER_SRC_IP4);
	// listen(2) without bind(2): the kernel has not chosen it yet.
	if (listen->local.port)
		number_is(judge, PICKET_NUMBER_SRC_PORT, listen->local.port);
	else
		number_unknown(judge, PICKET_NUMBER_SRC_PORT);
	number_is(judge, PICKET_NUMBER_PROTOCOL, listen->protocol);
	number_is(judge, PICKET_NUMBER_STATUS, 0);
	programs_run(judge, actor, LEVEL_RULES);
	return true;
}

static __always_inline void name_char(struct judge *judge, char c)
{
	__u32 end = judge->end & (PICKET_TEXT_MAX - 1);

	judge->bytes[end] = c;
	judge->end = end + 1;
}

// One byte of a name's wire form, written as people write it: what is not
// printable as \DDD (RFC 1035 5.1), in lower case.
static long name_byte(__u32 index, struct court *court)
{
	struct judge *judge = court->judge;
	__u8 byte = judge->bytes[DNS_MESSAGE + (judge->at & (PICKET_TEXT_MAX - 1))];
	__u32 left = judge->state;

	judge->at += 1;
	if (!left) {
		judge->whole = byte == 0;
		// Longer than a label can be: a pointer, in a question an oddity.
		if (byte == 0 || byte > 63)
			return 1;
		if (judge->end)
			name_char(judge, '.');
		judge->state = byte;
		return 0;
	}
	judge->state = left - 1;
	if (byte == ' ' || byte == '.' || byte == '\\') {
		name_char(judge, '\\');
	} else if (byte < 0x20 || byte > 0x7e) {
		name_char(judge, '\\');
		name_char(judge, '0' + byte / 100);
		name_char(judge, '0' + byte / 10 % 10);
		byte = '0' + byte % 10;
	} else if (byte >= 'A' && byte <= 'Z') {
		byte += 'a' - 'A';
	}
	name_char(judge, byte);
	return 0;
}

// The name and type asked for by the message of `len` bytes at DNS_MESSAGE.
static __always_inline bool dns_question(struct judge *judge, __u32 len)
{
	struct court court = { .judge = judge };
	__u16 questions = judge->bytes[DNS_MESSAGE + 4] | judge->bytes[DNS_MESSAGE + 5];
	bool known;
	__u32 end;

	judge->at = DNS_HEADER_LEN;
	judge->state = 0;
	judge->end = 0;
	judge->whole = 0;
	if (len > DNS_HEADER_LEN && questions)
		bpf_loop(DNS_NAME_MAX, name_byte, &court, 0);
	// Name, type and class must all be there.
	known = judge->whole && judge->at + 4 <= len;
	if (known && !judge->end)
		name_char(judge, '.');
	end = judge->end;
	if (text_asked(judge, PICKET_TEXT_QUERY, known ? PICKET_KNOWN : PICKET_UNKNOWN)) {
		judge->end = end;
		text_is(judge, PICKET_TEXT_QUERY);
	}
	return known;
}

// The rules on judge->record.dns, whose message of `len` bytes lies at
// DNS_MESSAGE.
__noinline int dns_rules(struct judge *judge, struct process_state *actor, __u32 len)
{
	struct picket_dns *dns;
	__u32 type;

	if (!judge)
		return false;
	dns = &judge->record.dns;
	if (!event_start(judge, actor, &dns->head, PICKET_DNS_QUERY))
		return false;
	if (dns_question(judge, len)) {
		type = (judge->at & (PICKET_TEXT_MAX - 1)) + DNS_MESSAGE;
		number_is(judge, PICKET_NUMBER_QUERY_TYPE,
			  (__u8)judge->bytes[type] << 8 | (__u8)judge->bytes[type + 1]);
	} else {
		number_unknown(judge, PICKET_NUMBER_QUERY_TYPE);
	}
	address_is(judge, &dns->remote, PICKET_ADDRESS_DST, PICKET_NUMBER_DST_IP4);
	number_is(judge, PICKET_NUMBER_DST_PORT, dns->remote.port);
	number_is(judge, PICKET_NUMBER_PROTOCOL, dns->protocol);
	programs_run(judge, actor, LEVEL_RULES);
	return true;
}
