// SPDX-License-Identifier: Apache-2.0
// UDP datagrams put together by hand, past the sockets that other hooks watch.
#include "cause.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

enum {
	OWN_PORT = 4711,
	LARGEST = 1024,
	// A field of IPv6's raw sockets: where the checksum stands.
	UDP_CHECKSUM_AT = 6,
	FRAGMENT = 44,
};

// What follows the IP header: UDP's own, and the payload.
struct datagram {
	struct udphdr udp;
	unsigned char payload[LARGEST];
};

// `text:WORDS` or `dns:NAME`, ready for `port`; its whole length.
static size_t datagram(const char *what, const char *port, struct datagram *to)
{
	size_t length;

	if (!strncmp(what, "dns:", 4)) {
		length = dns_question(what + 4, 1, to->payload);
	} else {
		what += strncmp(what, "text:", 5) ? 0 : 5;
		length = strlen(what);
		if (length > LARGEST)
			fail("text too long");
		memcpy(to->payload, what, length);
	}
	length += sizeof(to->udp);
	to->udp = (struct udphdr){ .source = htons(OWN_PORT),
				   .dest = htons(atoi(port)),
				   .len = htons(length) };
	return length;
}

static uint32_t add_up(uint32_t sum, const void *from, size_t length)
{
	const unsigned char *bytes = from;

	for (size_t at = 0; at < length; at++)
		sum += at & 1 ? bytes[at] : bytes[at] << 8;
	return sum;
}

// UDP over IPv6 must have one (RFC 8200 8.1).
static void checksum6(struct datagram *gram, size_t length, const struct in6_addr *from,
		      const struct in6_addr *to)
{
	uint32_t sum = length + IPPROTO_UDP;

	gram->udp.check = 0;
	sum = add_up(sum, from, sizeof(*from));
	sum = add_up(sum, to, sizeof(*to));
	sum = add_up(sum, gram, length);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	gram->udp.check = htons(~sum & 0xffff ? ~sum & 0xffff : 0xffff);
}

static int raw(int family, int protocol)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		fail("raw socket");
	return fd;
}

static ssize_t send_all(int fd, const void *packet, size_t length, void *to, socklen_t to_length)
{
	return sendto(fd, packet, length, 0, to, to_length);
}

// The kernel writes the IP header.
static ssize_t plain4(struct datagram *gram, size_t length, struct sockaddr_in *to)
{
	to->sin_port = 0;
	return send_all(raw(AF_INET, IPPROTO_UDP), gram, length, to, sizeof(*to));
}

static ssize_t plain6(struct datagram *gram, size_t length, struct sockaddr_in6 *to)
{
	int fd = raw(AF_INET6, IPPROTO_UDP), at = UDP_CHECKSUM_AT;

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof(at)))
		fail("IPV6_CHECKSUM");
	to->sin6_port = 0;
	return send_all(fd, gram, length, to, sizeof(*to));
}

struct packet4 {
	struct iphdr ip;
	struct datagram gram;
};

static struct iphdr header4(const struct sockaddr_in *to, size_t length, uint16_t fragment)
{
	return (struct iphdr){ .version = 4,
			       .ihl = 5,
			       .tot_len = htons(sizeof(struct iphdr) + length),
			       .id = htons(OWN_PORT),
			       .frag_off = htons(fragment),
			       .ttl = 64,
			       .protocol = IPPROTO_UDP,
			       .saddr = to->sin_addr.s_addr,
			       .daddr = to->sin_addr.s_addr };
}

static ssize_t own_header4(struct datagram *gram, size_t length, struct sockaddr_in *to)
{
	struct packet4 packet = { .ip = header4(to, length, 0), .gram = *gram };

	to->sin_port = 0;
	return send_all(raw(AF_INET, IPPROTO_RAW), &packet, sizeof(packet.ip) + length, to,
			sizeof(*to));
}

// UDP's header in the first, the payload in the second.
static ssize_t fragments4(struct datagram *gram, size_t length, struct sockaddr_in *to)
{
	size_t first = sizeof(gram->udp), second = length - first;
	int fd = raw(AF_INET, IPPROTO_RAW);
	struct packet4 packet = { .ip = header4(to, first, IP_MF), .gram = *gram };
	ssize_t ret;

	to->sin_port = 0;
	ret = send_all(fd, &packet, sizeof(packet.ip) + first, to, sizeof(*to));
	if (ret < 0)
		return ret;
	packet.ip = header4(to, second, first / 8);
	memcpy(&packet.gram, gram->payload, second);
	return send_all(fd, &packet, sizeof(packet.ip) + second, to, sizeof(*to));
}

struct packet6 {
	struct ip6_hdr ip;
	unsigned char rest[sizeof(struct ip6_frag) + sizeof(struct datagram)];
};

// The whole packet's length. `fragmented`: with a fragment header, although it is
// the only fragment.
static size_t own_header6(struct packet6 *packet, struct datagram *gram, size_t length,
			  struct sockaddr_in6 *to, bool fragmented)
{
	struct ip6_frag fragment = { .ip6f_nxt = IPPROTO_UDP, .ip6f_ident = htonl(OWN_PORT) };
	size_t before = fragmented ? sizeof(fragment) : 0;

	checksum6(gram, length, &to->sin6_addr, &to->sin6_addr);
	memset(packet, 0, sizeof(*packet));
	packet->ip.ip6_flow = htonl(6 << 28);
	packet->ip.ip6_plen = htons(before + length);
	packet->ip.ip6_nxt = fragmented ? FRAGMENT : IPPROTO_UDP;
	packet->ip.ip6_hlim = 64;
	packet->ip.ip6_src = packet->ip.ip6_dst = to->sin6_addr;
	memcpy(packet->rest, &fragment, before);
	memcpy(packet->rest + before, gram, length);
	return sizeof(packet->ip) + before + length;
}

static ssize_t raw6(struct datagram *gram, size_t length, struct sockaddr_in6 *to, bool fragmented)
{
	struct packet6 packet;
	size_t whole = own_header6(&packet, gram, length, to, fragmented);

	to->sin6_port = 0;
	return send_all(raw(AF_INET6, IPPROTO_RAW), &packet, whole, to, sizeof(*to));
}

// A frame, handed to the loopback device itself.
static ssize_t frame6(struct datagram *gram, size_t length, struct sockaddr_in6 *to)
{
	struct sockaddr_ll device = { .sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_IPV6),
				      .sll_ifindex = if_nametoindex("lo"),
				      .sll_halen = ETH_ALEN };
	struct packet6 packet;
	size_t whole = own_header6(&packet, gram, length, to, false);
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("packet socket");
	return send_all(fd, &packet, whole, &device, sizeof(device));
}

static int act_raw(int argc, char **argv)
{
	(void)argc;
	const char *how = argv[0];
	struct sockaddr_storage to;
	struct datagram gram;
	ssize_t ret;

	address(argv[1], argv[2], &to);
	memset(&gram, 0, sizeof(gram));
	size_t length = datagram(argv[3], argv[2], &gram);

	if (!strcmp(how, "plain4"))
		ret = plain4(&gram, length, (void *)&to);
	else if (!strcmp(how, "header4"))
		ret = own_header4(&gram, length, (void *)&to);
	else if (!strcmp(how, "fragments4"))
		ret = fragments4(&gram, length, (void *)&to);
	else if (!strcmp(how, "plain6"))
		ret = plain6(&gram, length, (void *)&to);
	else if (!strcmp(how, "header6"))
		ret = raw6(&gram, length, (void *)&to, false);
	else if (!strcmp(how, "fragment6"))
		ret = raw6(&gram, length, (void *)&to, true);
	else if (!strcmp(how, "frame6"))
		ret = frame6(&gram, length, (void *)&to);
	else
		fail(how);
	say("raw", ret, "");
	return 0;
}

const struct act packet_acts[] = {
	{ "raw",
	  "plain4|header4|fragments4|plain6|header6|fragment6|frame6 IP PORT text:TEXT|dns:NAME: UDP, from and to "
	  "that address",
	  4, act_raw },
	{ 0 },
};
