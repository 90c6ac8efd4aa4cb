/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that answer what the test wrote into a map, and note what they were
 * asked. One object per interface covers all answers. With -DEMPTY the instance
 * has no program, with -DWITHOUT_LINK it is attached by its map.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef int pid_t;

char LICENSE[] SEC("license") = "GPL";

#ifdef WITHOUT_LINK
#define INSTANCE SEC(".struct_ops")
#else
#define INSTANCE SEC(".struct_ops.link")
#endif

/* What the program answers, by index: the enum tva_type, or 0. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, s64);
} answers SEC(".maps");

/* What it was asked: how often, by question. */
struct question {
	u64 orders;
	u64 who;	/* thp, numab: tgid; mthp: id of the cgroup */
	u32 index;
	u32 advice;	/* thp v7: the enum bpf_thp_vma_type */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct question);
	__type(value, u64);
} asked SEC(".maps");

static __attribute__((unused)) s64 answer(u32 index, u64 who, u64 orders, u32 advice)
{
	struct question question = { orders, who, index, advice };
	s64 *value = bpf_map_lookup_elem(&answers, &index);
	u64 *count = bpf_map_lookup_elem(&asked, &question);
	u64 one = 1;

	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&asked, &question, &one, BPF_ANY);
	return value ? *value : 0;
}

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct task_struct {
	pid_t tgid;
};

struct mm_struct {
	struct task_struct *owner;
};

struct vm_area_struct {
	struct mm_struct *vm_mm;
};

#pragma clang attribute pop

struct list_head {
	struct list_head *next, *prev;
};
