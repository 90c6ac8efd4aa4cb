// SPDX-License-Identifier: GPL-2.0
/* bpf_thp_ops of the version THP: 7, 9 or 12. */
#include "answers.h"

enum tva_type {
	TVA_SMAPS,
	TVA_PAGEFAULT,
	TVA_KHUGEPAGED,
	TVA_FORCED_COLLAPSE,
	TVA_SWAP_PAGEFAULT,
};

enum bpf_thp_vma_type {
	BPF_THP_VM_NONE,
	BPF_THP_VM_HUGEPAGE,
	BPF_THP_VM_NOHUGEPAGE,
};

#if THP == 7
#define ARGUMENTS struct vm_area_struct *vma, enum bpf_thp_vma_type advice, \
	enum tva_type type, unsigned long orders
#else
#define ARGUMENTS struct vm_area_struct *vma, enum tva_type type, unsigned long orders
#endif

struct bpf_thp_ops {
#if THP == 12
	pid_t pid;
#endif
	int (*thp_get_order)(ARGUMENTS);
#if THP == 12
	struct list_head mm_list;
#endif
};

#ifndef EMPTY
static u64 tgid_of(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	struct task_struct *owner;

	if (!mm)
		return 0;
	owner = mm->owner;
	return owner ? owner->tgid : 0;
}

SEC("struct_ops/thp_get_order")
int BPF_PROG(get_order, ARGUMENTS)
{
#if THP != 7
	u32 advice = 0;
#endif

	return answer(type, tgid_of(vma), orders, advice);
}
#endif

INSTANCE
struct bpf_thp_ops thp = {
#ifndef EMPTY
	.thp_get_order = (void *)get_order,
#endif
};
