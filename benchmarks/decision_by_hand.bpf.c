// SPDX-License-Identifier: GPL-2.0
/*
 * The thp blocks of examples/fleet.thp as somebody who knows BPF writes them by hand, and a
 * program that decides nothing. bench_decision_cost.py compares both with what policyc makes.
 */
#include <stdbool.h>

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

typedef __u64 u64;
typedef __u32 u32;
typedef __u16 u16;
typedef __u8 u8;

/* Of linux/bpf.h, which is not everywhere where clang finds it. */
#define BPF_MAP_TYPE_HASH 1
#define BPF_F_NO_PREALLOC 1
enum { XDP_ABORTED, XDP_DROP, XDP_PASS };
struct xdp_md {
	u32 data;
	u32 data_end;
};

#define LEVELS 32
#define PERCENT_SHIFT 11
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* Orders of pages of 4 KiB. */
#define UP_TO_64K 0x1dULL
#define FROM_16K_TO_64K 0x1cULL
#define PMD 0x200ULL

enum { KHUGEPAGED = 2 };
enum { HUGEPAGE = 1 };

/* Bits of what may be absent. */
enum {
	HAS_RSS = 1 << 5,
	HAS_COMM = 1 << 6,
	HAS_CGROUP = 1 << 7,
	HAS_PRESSURE = 1 << 8,
	HAS_USAGE = 1 << 9,
	HAS_MAX = 1 << 10,
};

/* Bits of policy_paths. */
enum { BURSTABLE = 1 << 0, BATCH = 1 << 1 };

/* Rules by their index plus one. */
enum { PRESSURE = 1, JAVA, SMALL, ADVISED, TUNED, OTHERWISE, ROOMY, REDIS, PASS };

struct request {
	u64 present;
	u64 orders;
	u64 event;
	u64 advice;
	u64 vma_size;
	u64 stack;
	u64 rss;
	char comm[16];
	u64 levels;
	u64 cgroup[LEVELS];
	u64 pressure;
	u64 usage;
	u64 max;
};

struct answer {
	u64 orders;
	u64 opinions;
	u64 hot_threshold;
	u16 fired[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, u8);
} set_java SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, char[16]);
	__type(value, u8);
} set_tuned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 6);
	__type(key, u64);
	__type(value, u64);
} policy_paths SEC(".maps");

volatile struct {
	u64 ceiling;
	u64 canary;
} params SEC(".data.params") = { 1000, 2500 };

static __always_inline u64 mix(u64 id)
{
	id += 0x9e3779b97f4a7c15ULL;
	id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9ULL;
	id = (id ^ (id >> 27)) * 0x94d049bb133111ebULL;
	return id ^ (id >> 31);
}

static __always_inline bool below_java(const struct request *request, const void *end)
{
	for (u32 level = 0; level < LEVELS && level < request->levels; level++) {
		const u64 *id = &request->cgroup[level];

		if ((const void *)(id + 1) > end)
			break;
		if (bpf_map_lookup_elem(&set_java, id))
			return true;
	}
	return false;
}

static __always_inline u64 paths_above(const struct request *request, const void *end)
{
	u64 found = 0;

	for (u32 level = 0; level < LEVELS && level < request->levels; level++) {
		const u64 *id = &request->cgroup[level];
		const u64 *bits;

		if ((const void *)(id + 1) > end)
			break;
		bits = bpf_map_lookup_elem(&policy_paths, id);
		if (bits)
			found |= *bits;
	}
	return found;
}

static __always_inline u16 everywhere(const struct request *request, const void *end, u64 paths,
				      u64 *orders)
{
	u64 present = request->present;

	if (!(present & HAS_CGROUP) ||
	    ((present & HAS_PRESSURE) &&
	     request->pressure * 100 >> PERCENT_SHIFT > params.ceiling)) {
		*orders = 0;
		return PRESSURE;
	}
	if (request->event == KHUGEPAGED && below_java(request, end)) {
		*orders &= PMD;
		return JAVA;
	}
	if ((paths & BURSTABLE) && request->vma_size >= 8 * MIB) {
		*orders &= UP_TO_64K;
		return SMALL;
	}
	if (request->advice == HUGEPAGE)
		return ADVISED;
	*orders = 0;
	if ((present & HAS_COMM) && bpf_map_lookup_elem(&set_tuned, request->comm))
		return TUNED;
	return request->stack ? TUNED : OTHERWISE;
}

static __always_inline u16 in_batch(const struct request *request, u64 *orders)
{
	const u64 memory = HAS_RSS | HAS_USAGE | HAS_MAX;
	u64 present = request->present;

	if (!(present & HAS_CGROUP) || mix(request->cgroup[0]) % 10000 >= params.canary)
		return 0;
	if ((present & memory) == memory && request->max > request->usage &&
	    request->max - request->usage >= 4 * GIB && request->rss >= request->max / 100) {
		*orders &= FROM_16K_TO_64K | PMD;
		return ROOMY;
	}
	if ((present & HAS_COMM) && (request->orders & PMD) &&
	    !__builtin_memcmp(request->comm, "redis-server", sizeof("redis-server"))) {
		*orders = 0;
		return REDIS;
	}
	return PASS;
}

SEC("xdp")
int thp(struct xdp_md *context)
{
	struct request *request = (void *)(long)context->data;
	struct answer *answer = (void *)(request + 1);
	void *end = (void *)(long)context->data_end;
	u64 orders, paths;

	if ((void *)(answer + 1) > end)
		return XDP_ABORTED;
	orders = request->orders;
	paths = paths_above(request, end);
	answer->fired[0] = everywhere(request, end, paths, &orders);
	answer->fired[1] = paths & BATCH ? in_batch(request, &orders) : 0;
	answer->orders = orders;
	answer->opinions = 1;
	answer->hot_threshold = ~0ULL;
	return XDP_PASS;
}

/* What running a program costs that only says where its packet ends. */
SEC("xdp")
int nothing(struct xdp_md *context)
{
	struct request *request = (void *)(long)context->data;
	struct answer *answer = (void *)(request + 1);

	return (void *)(answer + 1) > (void *)(long)context->data_end ? XDP_ABORTED : XDP_PASS;
}
