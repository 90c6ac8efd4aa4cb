// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_mthp_ops: a mask of orders, one instance per cgroup subtree.
 *
 * An instance is attached with BPF_F_CGROUP_FD and a file descriptor in
 * link_create. bpf_struct_ops_link_create() of a stock kernel looks at neither;
 * link_create_noting() runs in its place and keeps them until mthp_reg(), which
 * the real function calls in the same task.
 */
#include "hooks.h"

#ifndef BPF_F_CGROUP_FD
#define BPF_F_CGROUP_FD		(1U << 7)
#endif

/* A BPF_LINK_CREATE in progress; on the stack of the task. */
struct link_request {
	struct list_head node;
	struct task_struct *task;
	u32 flags;
	int target_fd;
};

static LIST_HEAD(link_requests);
static DEFINE_SPINLOCK(link_requests_lock);

static struct cgroup_policies mthp_policies;

static noinline int link_create_noting(union bpf_attr *attr)
{
	struct link_request request = {
		.task = current,
		.flags = attr->link_create.flags,
		.target_fd = attr->link_create.target_fd,
	};
	int ret;

	spin_lock(&link_requests_lock);
	list_add(&request.node, &link_requests);
	spin_unlock(&link_requests_lock);
	ret = static_call(create_link)(attr);
	spin_lock(&link_requests_lock);
	list_del(&request.node);
	spin_unlock(&link_requests_lock);
	module_put(THIS_MODULE);
	return ret;
}

/* While the module is loaded. */
ENTRY_HOOK(link_create_hook, "bpf_struct_ops_link_create", redirect,
		   FTRACE_OPS_FL_IPMODIFY, link_create_noting);

/* The cgroup that the link is to be attached to, with a reference. */
static struct cgroup *requested_cgroup(void)
{
	struct link_request *request;
	int fd = -1;

	spin_lock(&link_requests_lock);
	list_for_each_entry(request, &link_requests, node)
		if (request->task == current && request->flags & BPF_F_CGROUP_FD)
			fd = request->target_fd;
	spin_unlock(&link_requests_lock);
	return fd < 0 ? ERR_PTR(-EINVAL) : cgroup_get_from_fd(fd);
}

static struct entry_hook thp_hook;	/* in thp.c */

/* What the instance of the subtree leaves of @orders. Under RCU. */
static unsigned long mthp_orders(struct mm_struct *mm, unsigned long orders)
{
	struct bpf_mthp_ops *ops;
	struct cgroup *cgrp;

	if (!READ_ONCE(mthp_policies.count) || mem_cgroup_disabled())
		return orders;
	cgrp = memory_cgroup(mm);
	ops = nearest_ops(&mthp_policies, cgrp);
	if (ops && ops->mthp_choose)
		orders &= ops->mthp_choose(cgrp, orders);
	return orders;
}

static int mthp_reg(void *kdata, struct bpf_link *link)
{
	struct cgroup_policy *policy;
	struct cgroup *cgrp;
	int ret;

	if (!link)
		return -EOPNOTSUPP;
	cgrp = requested_cgroup();
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);
	policy = new_policy(cgrp, link, kdata);
	if (!policy)
		return -ENOMEM;
	mutex_lock(&hooks_lock);
	if (subtree_has_policy(&mthp_policies, cgrp))
		ret = -EBUSY;
	else
		ret = entry_hook_get(&thp_hook);
	if (!ret)
		add_policy(&mthp_policies, policy);
	mutex_unlock(&hooks_lock);
	if (ret)
		free_policy(policy);
	return ret;
}

static void mthp_unreg(void *kdata, struct bpf_link *link)
{
	struct cgroup_policy *policy;

	mutex_lock(&hooks_lock);
	policy = policy_of_link(&mthp_policies, link);
	if (policy) {
		remove_policy(&mthp_policies, policy);
		entry_hook_put(&thp_hook);
	}
	mutex_unlock(&hooks_lock);
	synchronize_rcu();
	if (policy)
		free_policy(policy);
}

static int mthp_init_member(const struct btf_type *t,
			    const struct btf_member *member,
			    void *kdata, const void *udata)
{
	return 0;
}

static unsigned long mthp_choose_stub(struct cgroup *cgrp, unsigned long orders)
{
	return 0;
}

static struct bpf_mthp_ops mthp_stubs = { .mthp_choose = mthp_choose_stub };

/* There is no update: a link keeps its program. */
static struct bpf_struct_ops mthp_struct_ops = {
	.verifier_ops	= &hooks_verifier_ops,
	.init		= hooks_init,
	.check_member	= hooks_check_member,
	.init_member	= mthp_init_member,
	.reg		= mthp_reg,
	.unreg		= mthp_unreg,
	.cfi_stubs	= &mthp_stubs,
	.owner		= THIS_MODULE,
	.name		= "bpf_mthp_ops",
};
