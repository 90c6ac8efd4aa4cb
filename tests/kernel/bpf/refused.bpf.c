// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that the verifier must refuse, chosen by a macro: for thp_get_order of the
 * version THP (7, 9 or 12), mthp_choose (MTHP) or numab_hook (NUMAB).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
	int level;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	int tgid;
	struct css_set *cgroups;
};

struct mm_struct {
	struct task_struct *owner;
};

struct vm_area_struct {
	unsigned long vm_start;
	struct mm_struct *vm_mm;
};

#pragma clang attribute pop

enum tva_type { TVA_SMAPS };
enum bpf_thp_vma_type { BPF_THP_VM_NONE };

struct list_head {
	struct list_head *next, *prev;
};

#ifdef SLEEPABLE
#define HOOK "struct_ops.s/"
#else
#define HOOK "struct_ops/"
#endif

#if defined(MTHP)

struct bpf_mthp_ops {
	unsigned long (*mthp_choose)(struct cgroup *cgroup, unsigned long orders);
};

SEC(HOOK "mthp_choose")
unsigned long BPF_PROG(mthp_choose, struct cgroup *cgroup, unsigned long orders)
{
#ifdef WRITE
	cgroup->level = 0;
#endif
	return orders;
}

struct bpf_mthp_ops mthp SEC(".struct_ops.link") = {
	.mthp_choose = (void *)mthp_choose,
};

#elif defined(NUMAB)

struct bpf_numab_ops {
	int (*numab_hook)(struct task_struct *task);
	unsigned int hot_thresh;
	int cgroup_id;
};

SEC(HOOK "numab_hook")
int BPF_PROG(numab_hook, struct task_struct *task)
{
#ifdef WRITE
	task->tgid = 0;
#endif
	return 1;
}

struct bpf_numab_ops numab SEC(".struct_ops.link") = {
	.numab_hook = (void *)numab_hook,
};

#else

#if THP == 7
#define ARGUMENTS struct vm_area_struct *vma, enum bpf_thp_vma_type vma_type, \
	enum tva_type type, unsigned long orders
#else
#define ARGUMENTS struct vm_area_struct *vma, enum tva_type type, unsigned long orders
#endif

struct bpf_thp_ops {
#if THP == 12
	int pid;
#endif
	int (*thp_get_order)(ARGUMENTS);
#if THP == 12
	struct list_head mm_list;
#endif
};

SEC(HOOK "thp_get_order")
int BPF_PROG(thp_get_order, ARGUMENTS)
{
#if defined(WRITE)
	vma->vm_start = 0;
#elif defined(HELPER)
	bpf_override_return((void *)ctx, 0); /* for the injection of errors */
#elif defined(LOOP)
	while (vma->vm_start)
		;
#elif defined(NULL_MM)
	return vma->vm_mm->owner ? 1 : 0;
#elif defined(NULL_OWNER)
	struct mm_struct *mm = vma->vm_mm;

	return mm ? mm->owner->cgroups->dfl_cgrp->kn->id & 1 : 0;
#elif defined(OUT_OF_BOUNDS)
	unsigned long table[4] = { 1, 2, 3, 4 };
	volatile unsigned long *p = table;

	return p[orders & 7];
#endif
	return 0;
}

struct bpf_thp_ops thp SEC(".struct_ops.link") = {
	.thp_get_order = (void *)thp_get_order,
};

#endif
