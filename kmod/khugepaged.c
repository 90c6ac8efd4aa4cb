// SPDX-License-Identifier: GPL-2.0
/*
 * khugepaged learns of an mm when a fault in it gets as far as mapping a PMD. A
 * policy that refuses this and leaves collapsing to khugepaged needs another
 * way: the mm is registered on the task's return to user mode, since the handler
 * at the entry of __thp_vma_allowable_orders() must not sleep.
 */
#include "hooks.h"

struct khugepaged_request {
	struct callback_head work;
	unsigned long address;		/* of the VMA */
};

static void khugepaged_register(struct callback_head *work)
{
	struct khugepaged_request *request =
		container_of(work, struct khugepaged_request, work);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (mm) {			/* not exiting */
		mmap_read_lock(mm);
		vma = find_vma(mm, request->address);
		if (vma && vma->vm_start <= request->address)
			static_call(enter_khugepaged)(vma, vma->vm_flags);
		mmap_read_unlock(mm);
	}
	kfree(request);
	module_put(THIS_MODULE);
}

/* Might khugepaged not know the mm of a fault in @vma, and want to? */
static bool khugepaged_may_register(struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
	if (mm_flags_test(MMF_VM_HUGEPAGE, vma->vm_mm))
		return false;
#else
	if (test_bit(MMF_VM_HUGEPAGE, &vma->vm_mm->flags))
		return false;
#endif
	return vma->vm_mm == current->mm && !(current->flags & PF_KTHREAD) &&
	       vma_is_anonymous(vma) && !(vma->vm_flags & VM_NOHUGEPAGE) &&
	       thp_vma_suitable_order(vma, vma->vm_end - HPAGE_PMD_SIZE,
				      PMD_ORDER);
}

/* khugepaged_enter_vma(@vma), later */
static void khugepaged_register_later(struct vm_area_struct *vma)
{
	struct khugepaged_request *request;

	request = kmalloc(sizeof(*request), GFP_NOWAIT | __GFP_NOWARN);
	if (!request)
		return;			/* the next fault tries again */
	init_task_work(&request->work, khugepaged_register);
	request->address = vma->vm_start;
	__module_get(THIS_MODULE);	/* an attached policy has one, too */
	if (task_work_add(current, &request->work, TWA_RESUME)) {
		module_put(THIS_MODULE);
		kfree(request);
	}
}
