// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_thp_ops: one order for a request.
 *
 * The published call is at the top of thp_vma_allowable_orders(), which is
 * inlined, and whose only other deed is to take away the orders that sysfs does
 * not allow, before __thp_vma_allowable_orders(vma, vm_flags, tva_flags,
 * orders). A handler at the entry of the latter finds out what the original
 * request was, asks with that, takes away what sysfs does not allow, and puts
 * what is left in place of "orders". Requests of which sysfs leaves nothing do
 * not get here.
 */
#include "hooks.h"

#define THP_ENABLED (BIT(TRANSPARENT_HUGEPAGE_FLAG) |	\
		     BIT(TRANSPARENT_HUGEPAGE_REQ_MADV_FLAG))

static struct bpf_thp_ops __rcu *thp_global;
static void *thp_global_key;		/* its link, or its ops without a link */

/* do_swap_page(), and alloc_swap_folio() where the compiler keeps it apart */
static struct code_range swap_in[2];

#ifdef TVA_ENFORCE_SYSFS
static enum tva_type tva_type_of(unsigned long flags, unsigned long caller)
{
	if (flags & tva_flag_smaps)
		return TVA_SMAPS;
	if (flags & tva_flag_in_pf)
		return code_contains(&swap_in[0], caller) ||
		       code_contains(&swap_in[1], caller) ?
		       TVA_SWAP_PAGEFAULT : TVA_PAGEFAULT;
	return flags & tva_flag_enforce_sysfs ? TVA_KHUGEPAGED : TVA_FORCED_COLLAPSE;
}
#else
static enum tva_type tva_type_of(unsigned long type, unsigned long caller)
{
	if (type == TVA_PAGEFAULT && (code_contains(&swap_in[0], caller) ||
				      code_contains(&swap_in[1], caller)))
		return TVA_SWAP_PAGEFAULT;
	return type;
}
#endif

/* The request of which @orders is what sysfs left. */
static unsigned long original_request(struct vm_area_struct *vma,
				      enum tva_type type, unsigned long orders)
{
	if (!vma_is_anonymous(vma) || type == TVA_FORCED_COLLAPSE)
		return orders;		/* sysfs was not looked at */
	if (type == TVA_SMAPS)
		return THP_ORDERS_ALL;
	if (type == TVA_KHUGEPAGED || orders & ~(BIT(PMD_ORDER) - 1))
		return orders;		/* a single order */
	return BIT(PMD_ORDER) - 1;	/* alloc_anon_folio(), alloc_swap_folio() */
}

/* As thp_vma_allowable_orders() does it. */
static unsigned long sysfs_orders(struct vm_area_struct *vma,
				  unsigned long vm_flags, enum tva_type type)
{
	unsigned long flags = READ_ONCE(*thp_flags);
	unsigned long mask;

	if (!vma_is_anonymous(vma) || type == TVA_FORCED_COLLAPSE)
		return ~0UL;
	mask = READ_ONCE(*anon_orders_always);
	if (vm_flags & VM_HUGEPAGE)
		mask |= READ_ONCE(*anon_orders_madvise);
	if (flags & BIT(TRANSPARENT_HUGEPAGE_FLAG) ||
	    (vm_flags & VM_HUGEPAGE && flags & THP_ENABLED))
		mask |= READ_ONCE(*anon_orders_inherit);
	return mask;
}

/* What the answer @order leaves of @orders. */
static unsigned long restrict_to(int order, unsigned long orders)
{
#if POLICYC_THP == 7
	if (order < 0 || order >= fls_long(orders))
		return orders;
	return BIT(order);	/* whether it was asked for or not */
#elif POLICYC_THP == 9
	if (order < 0 || order >= BITS_PER_LONG)
		return 0;	/* BIT(order) is not defined; BIT(-1) is bit 63 */
	return orders & BIT(order);
#else
	if (order < 0)
		return orders;
	return order < BITS_PER_LONG ? orders & BIT(order) : 0;
#endif
}

static unsigned long thp_orders(struct vm_area_struct *vma,
				unsigned long vm_flags, enum tva_type type,
				unsigned long orders)
{
	struct bpf_thp_ops *ops;

	if (!(READ_ONCE(*thp_flags) & THP_ENABLED))
		return orders;
	ops = rcu_dereference(thp_global);
#if POLICYC_THP == 12
	if (!ops)
		ops = thp_process_ops(vma->vm_mm);
#endif
	if (!ops)
		return orders;
#if POLICYC_THP == 7
	return restrict_to(ops->thp_get_order(vma,
					      vm_flags & VM_HUGEPAGE ?
					      BPF_THP_VM_HUGEPAGE :
					      vm_flags & VM_NOHUGEPAGE ?
					      BPF_THP_VM_NOHUGEPAGE :
					      BPF_THP_VM_NONE,
					      type, orders), orders);
#else
	return restrict_to(ops->thp_get_order(vma, type, orders), orders);
#endif
}

/* What the attached policies leave of a request: bpf_thp_ops, then bpf_mthp_ops. */
static unsigned long allowed_orders(struct vm_area_struct *vma,
				    unsigned long vm_flags, enum tva_type type,
				    unsigned long orders)
{
	orders = thp_orders(vma, vm_flags, type, orders);
	return orders ? mthp_orders(vma->vm_mm, orders) : 0;
}

/* __thp_vma_allowable_orders(vma, vm_flags, tva_flags, orders) */
static void notrace thp_enter(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *fops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	struct vm_area_struct *vma;
	enum tva_type type;
	unsigned long request, allowed;

	if (!regs || !regs->cx)
		return;
	vma = (struct vm_area_struct *)regs->di;
	if (!vma->vm_mm)
		return;			/* vdso: none is allowed */
	type = tva_type_of(regs->dx, parent_ip);
	request = original_request(vma, type, regs->cx);

	rcu_read_lock();
	allowed = allowed_orders(vma, regs->si, type, request);
	/* of v7 another order than the one that was asked for may be left */
	if (!(allowed & BIT(PMD_ORDER)) && type == TVA_PAGEFAULT &&
	    request == BIT(PMD_ORDER) && khugepaged_may_register(vma) &&
	    allowed_orders(vma, regs->si, TVA_KHUGEPAGED, request) & BIT(PMD_ORDER))
		khugepaged_register_later(vma);
	rcu_read_unlock();
	/* a request that is left as it was keeps what sysfs left of it */
	if (allowed != request)
		regs->cx = allowed & sysfs_orders(vma, regs->si, type);
}

ENTRY_HOOK(thp_hook, "__thp_vma_allowable_orders", thp_enter, 0, NULL);

static int thp_prepare(void)
{
	swap_in[0] = find_code("do_swap_page");
	swap_in[1] = find_code("alloc_swap_folio");
#if POLICYC_THP == 12
	if (thp_process_prepare())
		return -ENOENT;
#endif
	return entry_hook_prepare(&thp_hook);
}

static void thp_remove(void)
{
	entry_hook_remove(&thp_hook);
#if POLICYC_THP == 12
	entry_hook_remove(&exit_mmap_hook);
#endif
}

static int thp_reg_global(struct bpf_thp_ops *ops, void *key)
{
	lockdep_assert_held(&hooks_lock);
	if (rcu_access_pointer(thp_global))
		return -EBUSY;
	thp_global_key = key;
	rcu_assign_pointer(thp_global, ops);
	return 0;
}

static int thp_reg_locked(struct bpf_thp_ops *ops, void *key)
{
#if POLICYC_THP == 12
	if (ops->pid)
		return rcu_access_pointer(thp_global) ? -EBUSY :
		       thp_reg_process(ops, key);
#endif
	return thp_reg_global(ops, key);
}

static int thp_reg(void *kdata, struct bpf_link *link)
{
	int ret;

	mutex_lock(&hooks_lock);
	ret = entry_hook_get(&thp_hook);
	if (!ret) {
		ret = thp_reg_locked(kdata, link ? (void *)link : kdata);
		if (ret)
			entry_hook_put(&thp_hook);
	}
	mutex_unlock(&hooks_lock);
	return ret;
}

static void thp_unreg(void *kdata, struct bpf_link *link)
{
	void *key = link ? (void *)link : kdata;
	struct thp_instance *instance = NULL;
	bool found = true;

	mutex_lock(&hooks_lock);
	if (rcu_access_pointer(thp_global) && thp_global_key == key) {
		RCU_INIT_POINTER(thp_global, NULL);
	} else {
#if POLICYC_THP == 12
		instance = find_instance(key);
		if (instance)
			thp_unreg_process(instance);
#endif
		found = instance;
	}
	if (found)
		entry_hook_put(&thp_hook);
	mutex_unlock(&hooks_lock);
	synchronize_rcu();
	kfree(instance);
}

static int thp_update_locked(struct bpf_thp_ops *ops, struct bpf_thp_ops *old,
			     struct bpf_link *link)
{
#if POLICYC_THP == 12
	struct thp_instance *instance;

	if (!ops->pid != !old->pid)
		return -EINVAL;
	if (ops->pid) {
		instance = find_instance(link);
		if (!instance)
			return -ENOENT;
		rcu_assign_pointer(instance->ops, ops);
		return 0;
	}
#endif
	if (rcu_access_pointer(thp_global) != old)
		return -ENOENT;
	rcu_assign_pointer(thp_global, ops);
	return 0;
}

static int thp_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	int ret;

	if (!kdata || !old_kdata)
		return -EINVAL;
	mutex_lock(&hooks_lock);
	ret = thp_update_locked(kdata, old_kdata, link);
	mutex_unlock(&hooks_lock);
	synchronize_rcu();
	return ret;
}

static int thp_validate(void *kdata)
{
	return ((struct bpf_thp_ops *)kdata)->thp_get_order ? 0 : -EINVAL;
}

static int thp_init_member(const struct btf_type *t,
			   const struct btf_member *member,
			   void *kdata, const void *udata)
{
#if POLICYC_THP == 12
	const struct bpf_thp_ops *from = udata;
	struct bpf_thp_ops *to = kdata;

	if (__btf_member_bit_offset(t, member) / 8 == offsetof(typeof(*to), pid)) {
		to->pid = from->pid;
		return 1;
	}
#endif
	return 0;
}

#if POLICYC_THP == 7
static int thp_get_order_stub(struct vm_area_struct *vma,
			      enum bpf_thp_vma_type vma_type,
			      enum tva_type tva_type, unsigned long orders)
#else
static int thp_get_order_stub(struct vm_area_struct *vma, enum tva_type type,
			      unsigned long orders)
#endif
{
	return -1;
}

static struct bpf_thp_ops thp_stubs = { .thp_get_order = thp_get_order_stub };

static struct bpf_struct_ops thp_struct_ops = {
	.verifier_ops	= &hooks_verifier_ops,
	.init		= hooks_init,
	.check_member	= hooks_check_member,
	.init_member	= thp_init_member,
	.reg		= thp_reg,
	.unreg		= thp_unreg,
	.update		= thp_update,
	.validate	= thp_validate,
	.cfi_stubs	= &thp_stubs,
	.owner		= THIS_MODULE,
	.name		= "bpf_thp_ops",
};
