// SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0-only
//
// RTP that the relay knows how to move, moved before the kernel's stack sees it.
//
// `relay` runs for each packet of an interface. What is in `flows` leaves again from here, rewritten and counted as
// `rtp::forward` and `rtp::reception` do; everything else, and every exception, goes up to the relay's sockets as
// if nobody had looked. `end` closes a flow: what is in its counters then is the last word.
//
// Built by `cargo xtask bpf`; the layout of the maps is also in `tables.rs`.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INET 2
#define INET6 10
// The kernel's number of `lo` in every namespace: routes are looked up as for what this host sends itself.
#define LOOPBACK 1
// What follows the UDP header, at most; longer packets go up.
#define MOST 1480
#define RTP_HEADER 12
// How long a next hop is good, ns.
#define HOP 100000000ULL
// Octets that are looked at together.
#define BLOCK 32
// RFC 3550 Appendix A.1, as in `rtp::reception`.
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100

struct address {
    __u32 word[4];  // network order; IPv4 is mapped (RFC 4291 §2.5.5.2)
};

struct key {
    struct address local, remote;
    __u16 local_port, remote_port;  // network order
};

struct route {
    struct address source, destination;
    __u16 source_port, destination_port;  // network order
    __u8 tos;
    __u8 unused[3];
    __u32 generation;  // 0: the flow is closed
};

// The next hop, as it was looked up last.
struct hop {
    __u64 until;  // monotonic clock, ns
    __u32 most;   // octets of the longest IP packet that it was asked for
    __u32 interface;
    __u8 source[ETH_ALEN], destination[ETH_ALEN];
    __u32 unused;
};

struct flow {
    struct bpf_spin_lock lock;
    struct route route;
    __u64 offset;  // wall clock minus monotonic clock, ns
    __u64 until;   // monotonic clock, ns; what comes later goes up
    __u64 packets, bytes;
    __u64 last;  // wall clock, ns
    __u64 received, duplicates, jitter, quiet;
    __u64 window[2];  // the 128 packets up to `highest`, newest in bit 0 of the first
    __s64 transit;
    __u32 has_transit, rate;
    __u32 ssrc, base, highest;
    __u32 timestamp, step;
    __u16 sequence;
    __u8 payload_type;
    __u8 unused;
    struct hop hop;
};

struct setting {
    __u32 generic;  // packets are the stack's, whose checksums may be half made
    __u32 zero;     // what the verifier does not know to be 0: pointers that it adds to stand for themselves
};

// The loader knows what they are; here only their names count.
int flows SEC("maps");     // struct key -> struct flow
int exits SEC("maps");     // interfaces that take packets of the driver's layer
int settings SEC("maps");  // one struct setting

static __always_inline __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

// The sum of what lies between `at` and `stop`, RFC 1071. Whole blocks first: the verifier walks each turn of a loop.
static __always_inline __u64 sum_of(const __u8 *at, const __u8 *stop, const __u8 *end)
{
    __u64 sum = 0;
    for (int i = 0; i < MOST / BLOCK; i++) {
        const __u32 *word = (const void *)at;
        if (at + BLOCK > stop || at + BLOCK > end)
            break;
#pragma unroll
        for (int n = 0; n < BLOCK / 4; n++)
            sum += word[n];
        at += BLOCK;
    }
    for (int i = 0; i < BLOCK / 4 - 1; i++) {
        if (at + 4 > stop || at + 4 > end)
            break;
        sum += *(const __u32 *)at;
        at += 4;
    }
    for (int i = 0; i < 3; i++) {
        if (at + 1 > stop || at + 1 > end)
            break;
        sum += i & 1 ? bpf_htons(*at) : bpf_htons(*at << 8);
        at += 1;
    }
    return sum;
}

// RFC 768 and RFC 8200 §8.1: an IPv4 address and its mapped one differ by a constant.
static __always_inline __u64 pseudo(const struct address *a, const struct address *b, int v6, __u16 length)
{
    __u64 sum = bpf_htons(IPPROTO_UDP) + (__u64)length;
    sum += (__u64)a->word[3] + b->word[3];
    if (v6)
        sum += (__u64)a->word[0] + a->word[1] + a->word[2] + b->word[0] + b->word[1] + b->word[2];
    return sum;
}

// Whether there is nothing but one octet again and again, as in `rtp::sound`.
static __always_inline int is_quiet(const __u8 *at, const __u8 *stop, const __u8 *end)
{
    if (at + 1 > stop || at + 1 > end)
        return 0;
    __u8 octet = *at;
    __u64 pattern = octet * 0x0101010101010101ULL;
    for (int i = 0; i < MOST / BLOCK; i++) {
        const __u64 *long_word = (const void *)at;
        __u64 difference = 0;
        if (at + BLOCK > stop || at + BLOCK > end)
            break;
#pragma unroll
        for (int n = 0; n < BLOCK / 8; n++)
            difference |= long_word[n] ^ pattern;
        if (difference)
            return 0;
        at += BLOCK;
    }
    for (int i = 0; i < BLOCK / 8 - 1; i++) {
        if (at + 8 > stop || at + 8 > end)
            break;
        if (*(const __u64 *)at != pattern)
            return 0;
        at += 8;
    }
    for (int i = 0; i < 7; i++) {
        if (at + 1 > stop || at + 1 > end)
            break;
        if (*at != octet)
            return 0;
        at += 1;
    }
    return 1;
}

// RFC 3550 Appendix A.8, as in `rtp::reception`.
static __always_inline void measure(struct flow *flow, __u64 micros, __u32 timestamp)
{
    __u32 arrived = micros / 1000000 * flow->rate + micros % 1000000 * flow->rate / 1000000;
    __s64 transit = (__s32)(arrived - timestamp);
    if (flow->has_transit) {
        __s32 difference = (__s32)(transit - flow->transit);
        __u32 size = difference < 0 ? -(__u32)difference : (__u32)difference;
        if (size < (__u64)flow->rate * 2)
            flow->jitter = flow->jitter + size - ((flow->jitter + 8) >> 4);
    }
    flow->has_transit = 1;
    flow->transit = transit;
}

// Counts a packet; 0 if it is no ordinary one. RFC 3550 Appendix A.1.
static __always_inline int count(struct flow *flow, const __u8 *rtp, __u32 length, __u64 now, int quiet)
{
    __u16 sequence = bpf_ntohs(*(const __u16 *)(rtp + 2));
    __u32 timestamp = bpf_ntohl(*(const __u32 *)(rtp + 4));
    __u8 payload_type = rtp[1] & 0x7f;
    __u16 ahead = sequence - (__u16)flow->highest;
    __u64 wall = now + flow->offset;
    if (now > flow->until || bpf_ntohl(*(const __u32 *)(rtp + 8)) != flow->ssrc)
        return 0;
    if (ahead == 0) {
        flow->duplicates++;
    } else if (ahead < MAX_DROPOUT) {
        __u64 low = flow->window[0], high = flow->window[1];
        if (ahead >= 128)
            low = high = 0;
        else if (ahead >= 64)
            high = low << (ahead - 64), low = 0;
        else
            high = high << ahead | low >> (64 - ahead), low <<= ahead;
        flow->window[0] = low | 1;
        flow->window[1] = high;
        flow->highest += ahead;
        flow->received++;
        measure(flow, wall / 1000, timestamp);
    } else if (ahead > 0xffff - MAX_MISORDER) {
        __u16 behind = -ahead;
        __u64 bit = 1ULL << (behind & 63);
        __u64 seen = behind < 64 ? flow->window[0] : flow->window[1];
        if (seen & bit) {
            flow->duplicates++;
        } else {
            if (behind < 64)
                flow->window[0] = seen | bit;
            else
                flow->window[1] = seen | bit;
            __u32 began = flow->highest - behind;
            if (began - flow->base > 0x7fffffff)
                flow->base = began;
            flow->received++;
            measure(flow, wall / 1000, timestamp);
        }
    } else {
        return 0;
    }
    if (flow->payload_type == payload_type && (__u16)(flow->sequence + 1) == sequence) {
        __u32 step = timestamp - flow->timestamp;
        if (step && !(rtp[1] & 0x80))
            flow->step = step;
    }
    flow->payload_type = payload_type;
    flow->sequence = sequence;
    flow->timestamp = timestamp;
    flow->quiet = quiet ? flow->quiet + 1 : 0;
    flow->packets++;
    flow->bytes += length;
    flow->last = wall;
    return 1;
}

// Looks up the next hop; 0 if there is none that takes what is redirected.
static __always_inline int find(struct xdp_md *ctx, struct hop *hop, const struct route *route, int v6, __u32 total,
                                __u32 generic)
{
    struct bpf_fib_lookup fib = {};
    fib.l4_protocol = IPPROTO_UDP;
    fib.sport = route->source_port;
    fib.dport = route->destination_port;
    fib.ifindex = LOOPBACK;
    fib.tot_len = total;
    if (v6) {
        fib.family = INET6;
        __builtin_memcpy(fib.ipv6_src, &route->source, 16);
        __builtin_memcpy(fib.ipv6_dst, &route->destination, 16);
    } else {
        fib.family = INET;
        fib.tos = route->tos;
        fib.ipv4_src = route->source.word[3];
        fib.ipv4_dst = route->destination.word[3];
    }
    if (bpf_fib_lookup(ctx, &fib, sizeof fib, 0) != BPF_FIB_LKUP_RET_SUCCESS)
        return 0;
    if (!generic && !bpf_map_lookup_elem(&exits, &fib.ifindex))
        return 0;
    hop->interface = fib.ifindex;
    hop->most = total;
    __builtin_memcpy(hop->source, fib.smac, ETH_ALEN);
    __builtin_memcpy(hop->destination, fib.dmac, ETH_ALEN);
    return 1;
}

SEC("xdp/relay")
int relay(struct xdp_md *ctx)
{
    __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)data;
    struct iphdr *ip = (void *)(eth + 1);
    struct ipv6hdr *ip6 = (void *)(eth + 1);
    struct udphdr *udp;
    struct key key = {};
    int v6;
    if ((__u8 *)(eth + 1) > end)
        return XDP_PASS;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        // No options, no fragments.
        if ((__u8 *)(ip + 1) > end || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
            ip->frag_off & bpf_htons(0x3fff))
            return XDP_PASS;
        v6 = 0;
        udp = (void *)(ip + 1);
        key.local.word[2] = key.remote.word[2] = bpf_htonl(0xffff);
        key.local.word[3] = ip->daddr;
        key.remote.word[3] = ip->saddr;
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        // No extension headers.
        if ((__u8 *)(ip6 + 1) > end || ip6->version != 6 || ip6->nexthdr != IPPROTO_UDP)
            return XDP_PASS;
        v6 = 1;
        udp = (void *)(ip6 + 1);
        __builtin_memcpy(&key.local, &ip6->daddr, 16);
        __builtin_memcpy(&key.remote, &ip6->saddr, 16);
    } else {
        return XDP_PASS;
    }
    __u8 *rtp = (void *)(udp + 1);
    if (rtp + RTP_HEADER > end)
        return XDP_PASS;
    key.local_port = udp->dest;
    key.remote_port = udp->source;
    __u32 length = bpf_ntohs(udp->len);
    if (length < sizeof *udp + RTP_HEADER || length > sizeof *udp + MOST)
        return XDP_PASS;
    if (v6 ? ip6->payload_len != udp->len : bpf_ntohs(ip->tot_len) != length + sizeof *ip)
        return XDP_PASS;
    length -= sizeof *udp;
    __u8 *stop = rtp + length;
    // RFC 7983 §7 and RFC 5761 §4: RTP alone; padding is rare enough to go up.
    if (stop > end || rtp[0] >> 6 != 2 || rtp[0] & 0x20 || (rtp[1] >= 192 && rtp[1] <= 223))
        return XDP_PASS;

    struct flow *flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow)
        return XDP_PASS;
    // RFC 3550 §5.3.1
    __u32 start = RTP_HEADER + 4 * (rtp[0] & 0x0f);
    if (rtp[0] & 0x10) {
        __u8 *head = rtp + start;
        if (head + 4 > end)
            return XDP_PASS;
        __u32 words = bpf_ntohs(*(__u16 *)(head + 2));
        if (words > 255)
            return XDP_PASS;
        start += 4 + 4 * words;
    }
    if (start > length)
        return XDP_PASS;

    __u32 zero = 0;
    struct setting *setting = bpf_map_lookup_elem(&settings, &zero);
    if (!setting)
        return XDP_PASS;
    __u32 skew = setting->zero & 1;
    int quiet = is_quiet(rtp + start, stop, end);
    __u32 total = length + sizeof *udp + (v6 ? sizeof *ip6 : sizeof *ip);
    __u64 now = bpf_ktime_get_ns();
    struct route route;
    struct hop hop;
    int counted = 0;
    bpf_spin_lock(&flow->lock);
    route = flow->route;
    hop = flow->hop;
    int known = hop.until > now && total <= hop.most;
    if (known && route.generation)
        counted = count(flow, rtp, length, now, quiet);
    bpf_spin_unlock(&flow->lock);
    if (!route.generation)
        return XDP_PASS;
    if (!known) {
        if (!find(ctx, &hop, &route, v6, total, setting->generic))
            return XDP_PASS;
        hop.until = now + HOP;
        bpf_spin_lock(&flow->lock);
        if (flow->route.generation == route.generation) {
            flow->hop = hop;
            counted = count(flow, rtp, length, now, quiet);
        }
        bpf_spin_unlock(&flow->lock);
    }
    if (!counted)
        return XDP_PASS;

    // From here on it is ours.
    struct address *from = &route.source, *to = &route.destination;
    __u64 head = pseudo(&key.remote, &key.local, v6, udp->len);
    // What a neighbour on this host sends may have only the sum of the pseudo header (CHECKSUM_PARTIAL); the stack, or the
    // next driver, makes the rest of it. One complete checksum in 65,536 looks the same, and is right.
    int half = setting->generic && udp->check && fold(head) == udp->check;
    __u64 sum = 0;
    if (half || v6) {
        sum = sum_of(rtp + skew, stop, end) + udp->len;
        half = half && fold(head + sum + udp->source + udp->dest + udp->check) != 0xffff;
    }
    head = pseudo(from, to, v6, udp->len);
    udp->source = route.source_port;
    udp->dest = route.destination_port;
    udp->check = 0;
    if (half) {
        udp->check = fold(head);
    } else if (v6) {
        __u16 check = ~fold(head + sum + udp->source + udp->dest);
        udp->check = check ? check : 0xffff;
    }
    if (v6) {
        *(__u32 *)ip6 = bpf_htonl(6u << 28 | (__u32)route.tos << 20);
        ip6->hop_limit = 64;
        __builtin_memcpy(&ip6->saddr, from, 16);
        __builtin_memcpy(&ip6->daddr, to, 16);
    } else {
        // RFC 6864 §4.1: what is not fragmented needs no identification.
        ip->tos = route.tos;
        ip->id = 0;
        ip->frag_off = bpf_htons(0x4000);
        ip->ttl = 64;
        ip->saddr = from->word[3];
        ip->daddr = to->word[3];
        ip->check = 0;
        __u16 *word = (void *)ip;
        sum = 0;
#pragma unroll
        for (int i = 0; i < 10; i++)
            sum += word[i];
        ip->check = ~fold(sum);
    }
    __builtin_memcpy(eth->h_dest, hop.destination, ETH_ALEN);
    __builtin_memcpy(eth->h_source, hop.source, ETH_ALEN);
    if (hop.interface == ctx->ingress_ifindex)
        return XDP_TX;
    return bpf_redirect(hop.interface, 0);
}

// Run by the relay itself (BPF_PROG_TEST_RUN), with the key of a flow behind 16 octets: nothing is counted in
// it once this has returned.
SEC("xdp/end")
int end(struct xdp_md *ctx)
{
    __u8 *data = (void *)(long)ctx->data, *stop = (void *)(long)ctx->data_end;
    struct key key;
    if (data + 16 + sizeof key > stop)
        return XDP_ABORTED;
    key = *(struct key *)(data + 16);
    struct flow *flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow)
        return XDP_DROP;
    bpf_spin_lock(&flow->lock);
    flow->route.generation = 0;
    bpf_spin_unlock(&flow->lock);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
