// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_numab_ops: NUMA balancing of the tasks of a memory cgroup while
 * kernel.numa_balancing is 0.
 *
 * While a policy is attached, the kernel's own switch is on, and a handler at
 * task_numa_work(), which makes the hinting faults of a task's memory, ends it
 * for every task that no policy allows. What the user reads and writes as
 * kernel.numa_balancing is kept beside the switch. If the user has it on, every
 * task is balanced, with or without a policy.
 */
#include "hooks.h"

static struct cgroup_policies numab_policies;
static int numab_user_mode;	/* kernel.numa_balancing, under hooks_lock */

static struct bpf_numab_ops *numab_ops(struct task_struct *p)
{
	if (!p->mm || mem_cgroup_disabled())
		return NULL;
	return nearest_ops(&numab_policies, memory_cgroup(p->mm));
}

static bool numab_allows(struct task_struct *p)
{
	struct bpf_numab_ops *ops;
	bool allows;

	rcu_read_lock();
	ops = numab_ops(p);
	allows = ops && ops->numab_hook(p);
	rcu_read_unlock();
	return allows;
}

/* ---- who is scanned: task_numa_work(work) of the current task ---- */

/* All that task_numa_work() would do for a task that is not to be scanned. */
static void numa_work_skip(struct callback_head *work)
{
	work->next = work;
}

static void notrace numa_work_enter(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *fops,
				    struct ftrace_regs *fregs)
{
	if (READ_ONCE(numab_policies.count) && !READ_ONCE(numab_user_mode) &&
	    !numab_allows(current))
		ftrace_regs_set_instruction_pointer(fregs,
						    (unsigned long)numa_work_skip);
}

ENTRY_HOOK(numa_work_hook, "task_numa_work", numa_work_enter, FTRACE_OPS_FL_IPMODIFY, NULL);

/* ---- the switch ---- */

static void numab_apply_mode(void)
{
	int mode = numab_user_mode;

	lockdep_assert_held(&hooks_lock);
	if (numab_policies.count)
		mode |= NUMA_BALANCING_NORMAL;
	WRITE_ONCE(*numab_mode, mode);
	if (mode)
		static_key_enable(numab_key);
	else
		static_key_disable(numab_key);
}

/* The handler of kernel.numa_balancing, in place of sysctl_numa_balancing(). */
static noinline int numab_sysctl(const struct ctl_table *table, int write,
				 void *buffer, size_t *lenp, loff_t *ppos)
{
	struct ctl_table copy = *table;
	int ret;

	mutex_lock(&hooks_lock);
	if (write) {
		if (numab_policies.count)
			WRITE_ONCE(*numab_mode, numab_user_mode);
		ret = static_call(write_numab_mode)(table, write, buffer, lenp, ppos);
		WRITE_ONCE(numab_user_mode, *numab_mode);
		numab_apply_mode();
	} else {
		copy.data = numab_policies.count ? &numab_user_mode : numab_mode;
		ret = proc_dointvec_minmax(&copy, write, buffer, lenp, ppos);
	}
	mutex_unlock(&hooks_lock);
	module_put(THIS_MODULE);
	return ret;
}

ENTRY_HOOK(numab_sysctl_hook, "sysctl_numa_balancing", redirect, FTRACE_OPS_FL_IPMODIFY,
		   numab_sysctl);

/* ---- hot_thresh: should_numa_migrate_memory(p, folio, src_nid, dst_cpu) ---- */

#ifdef LAST_CPUPID_NOT_IN_PAGE_FLAGS
#define set_folio_time(folio, time) folio_xchg_last_cpupid(folio, time)
#else
#define set_folio_time(folio, time) static_call(set_last_cpupid)(folio, time)
#endif

/*
 * In tiering mode a folio of slow memory is promoted if the time from the scan
 * to the hinting fault is below a threshold, which the kernel derives from one
 * that is the same for all. A threshold of the task's own has the same effect
 * if that time is scaled: latency < hot_thresh if and only if
 * latency * default / hot_thresh < default, in whole numbers, too.
 */
static void notrace hot_enter(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *fops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	unsigned int now, last, threshold = 0;
	struct bpf_numab_ops *ops;
	struct folio *folio;
	u64 latency;

	if (!regs || !(READ_ONCE(*numab_mode) & NUMA_BALANCING_MEMORY_TIERING) ||
	    static_call(is_toptier)((int)regs->dx))
		return;
	rcu_read_lock();
	ops = numab_ops((struct task_struct *)regs->di);
	if (ops)
		threshold = ops->hot_thresh;
	rcu_read_unlock();
	if (!threshold)
		return;

	folio = (struct folio *)regs->si;
	now = jiffies_to_msecs(jiffies);
	last = folio_last_cpupid(folio) << PAGE_ACCESS_TIME_BUCKETS;
	latency = (now - last) & PAGE_ACCESS_TIME_MASK;
	latency = div_u64(latency * READ_ONCE(*numab_hot_threshold), threshold);
	latency = min_t(u64, latency, PAGE_ACCESS_TIME_MASK);
	set_folio_time(folio, (now - (unsigned int)latency) >> PAGE_ACCESS_TIME_BUCKETS);
}

ENTRY_HOOK(hot_hook, "should_numa_migrate_memory", hot_enter, 0, NULL);

/* ---- attaching ---- */

static int numab_prepare(void)
{
	return entry_hook_prepare(&numa_work_hook) ?:
	       entry_hook_prepare(&numab_sysctl_hook) ?:
	       entry_hook_prepare(&hot_hook);
}

static void numab_remove(void)
{
	entry_hook_remove(&hot_hook);
	entry_hook_remove(&numab_sysctl_hook);
	entry_hook_remove(&numa_work_hook);
}

/* The handlers for one instance. */
static int numab_hooks_get(struct bpf_numab_ops *ops)
{
	int ret = entry_hook_get(&numa_work_hook);

	if (ret)
		return ret;
	ret = entry_hook_get(&numab_sysctl_hook);
	if (ret)
		goto put_work;
	ret = ops->hot_thresh ? entry_hook_get(&hot_hook) : 0;
	if (!ret)
		return 0;
	entry_hook_put(&numab_sysctl_hook);
put_work:
	entry_hook_put(&numa_work_hook);
	return ret;
}

static void numab_hooks_put(struct bpf_numab_ops *ops)
{
	if (ops->hot_thresh)
		entry_hook_put(&hot_hook);
	entry_hook_put(&numab_sysctl_hook);
	entry_hook_put(&numa_work_hook);
}

/*
 * The nearest of a cgroup and its ancestors with the memory controller, with a
 * reference. As mem_cgroup_get_from_ino(), but only where memory is on v2.
 */
static struct cgroup *memory_cgroup_from_id(int id)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgrp;

	if (mem_cgroup_disabled())
		return ERR_PTR(-ENOENT);
	cgrp = cgroup_get_from_id(id);
	if (IS_ERR(cgrp))
		return ERR_PTR(-ENOENT);
	css = cgroup_get_e_css(cgrp, &memory_cgrp_subsys);
	cgroup_put(cgrp);
	cgrp = css->cgroup;
	if (cgrp->root == &cgrp_dfl_root)
		cgroup_get(cgrp);
	else
		cgrp = ERR_PTR(-ENOENT);
	css_put(css);
	return cgrp;
}

static int numab_reg_locked(struct cgroup_policy *policy, struct bpf_numab_ops *ops)
{
	int ret;

	if (policy_at(&numab_policies, policy->cgroup))
		return -EBUSY;
	ret = numab_hooks_get(ops);
	if (ret)
		return ret;
	if (!numab_policies.count)
		numab_user_mode = READ_ONCE(*numab_mode);
	add_policy(&numab_policies, policy);
	numab_apply_mode();
	return 0;
}

static int numab_reg(void *kdata, struct bpf_link *link)
{
	struct bpf_numab_ops *ops = kdata;
	struct cgroup_policy *policy;
	struct cgroup *cgrp;
	int ret;

	if (!link)
		return -EOPNOTSUPP;
	cgrp = memory_cgroup_from_id(ops->cgroup_id);
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);
	policy = new_policy(cgrp, link, ops);
	if (!policy)
		return -ENOMEM;
	mutex_lock(&hooks_lock);
	ret = numab_reg_locked(policy, ops);
	mutex_unlock(&hooks_lock);
	if (ret)
		free_policy(policy);
	return ret;
}

static void numab_unreg(void *kdata, struct bpf_link *link)
{
	struct cgroup_policy *policy;

	mutex_lock(&hooks_lock);
	policy = policy_of_link(&numab_policies, link);
	if (policy) {
		remove_policy(&numab_policies, policy);
		numab_apply_mode();
		numab_hooks_put(kdata);
	}
	mutex_unlock(&hooks_lock);
	synchronize_rcu();
	if (policy)
		free_policy(policy);
}

static int numab_update_locked(struct bpf_numab_ops *ops,
			       struct bpf_numab_ops *old, struct bpf_link *link)
{
	struct cgroup_policy *policy = policy_of_link(&numab_policies, link);
	int ret;

	if (!policy)
		return -ENOENT;
	ret = numab_hooks_get(ops);
	if (ret)
		return ret;
	rcu_assign_pointer(policy->ops, ops);
	numab_hooks_put(old);
	return 0;
}

static int numab_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	struct bpf_numab_ops *ops = kdata, *old = old_kdata;
	int ret;

	if (ops->cgroup_id != old->cgroup_id)
		return -EINVAL;
	mutex_lock(&hooks_lock);
	ret = numab_update_locked(ops, old, link);
	mutex_unlock(&hooks_lock);
	synchronize_rcu();
	return ret;
}

static int numab_validate(void *kdata)
{
	return ((struct bpf_numab_ops *)kdata)->numab_hook ? 0 : -EINVAL;
}

static int numab_init_member(const struct btf_type *t,
			     const struct btf_member *member,
			     void *kdata, const void *udata)
{
	const struct bpf_numab_ops *from = udata;
	struct bpf_numab_ops *to = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct bpf_numab_ops, hot_thresh):
		to->hot_thresh = from->hot_thresh;
		return 1;
	case offsetof(struct bpf_numab_ops, cgroup_id):
		to->cgroup_id = from->cgroup_id;
		return 1;
	}
	return 0;
}

static int numab_hook_stub(struct task_struct *p)
{
	return 1;
}

static struct bpf_numab_ops numab_stubs = { .numab_hook = numab_hook_stub };

static struct bpf_struct_ops numab_struct_ops = {
	.verifier_ops	= &hooks_verifier_ops,
	.init		= hooks_init,
	.check_member	= hooks_check_member,
	.init_member	= numab_init_member,
	.reg		= numab_reg,
	.unreg		= numab_unreg,
	.update		= numab_update,
	.validate	= numab_validate,
	.cfi_stubs	= &numab_stubs,
	.owner		= THIS_MODULE,
	.name		= "bpf_numab_ops",
};
