// SPDX-License-Identifier: GPL-2.0
/* Policies that are attached to cgroups. */
#include "hooks.h"

struct cgroup_policy {
	struct hlist_node node;
	struct cgroup *cgroup;		/* a reference is held */
	struct bpf_link *link;
	void __rcu *ops;
};

struct cgroup_policies {
	DECLARE_HASHTABLE(by_cgroup, 10);
	unsigned int count;
};

static struct cgroup_policy *policy_at(struct cgroup_policies *policies,
				       struct cgroup *cgrp)
{
	struct cgroup_policy *policy;

	hash_for_each_possible_rcu(policies->by_cgroup, policy, node,
				   (unsigned long)cgrp,
				   lockdep_is_held(&hooks_lock))
		if (policy->cgroup == cgrp)
			return policy;
	return NULL;
}

/* The policy of the nearest of @cgrp and its ancestors that has one. Under RCU. */
static void *nearest_ops(struct cgroup_policies *policies, struct cgroup *cgrp)
{
	struct cgroup_policy *policy;

	for (; cgrp; cgrp = cgroup_parent(cgrp)) {
		policy = policy_at(policies, cgrp);
		if (policy)
			return rcu_dereference(policy->ops);
	}
	return NULL;
}

static struct cgroup_policy *policy_of_link(struct cgroup_policies *policies,
					    struct bpf_link *link)
{
	struct cgroup_policy *policy;
	int bucket;

	lockdep_assert_held(&hooks_lock);
	hash_for_each(policies->by_cgroup, bucket, policy, node)
		if (policy->link == link)
			return policy;
	return NULL;
}

/*
 * Is there a policy on an ancestor or a descendant of @cgrp, or on itself? Those
 * of removed cgroups, which are there until their links go, are no obstacle.
 */
static bool subtree_has_policy(struct cgroup_policies *policies,
			       struct cgroup *cgrp)
{
	struct cgroup_policy *policy;
	int bucket;

	lockdep_assert_held(&hooks_lock);
	hash_for_each(policies->by_cgroup, bucket, policy, node)
		if (policy->cgroup->self.flags & CSS_ONLINE &&
		    (cgroup_is_descendant(cgrp, policy->cgroup) ||
		     cgroup_is_descendant(policy->cgroup, cgrp)))
			return true;
	return false;
}

/* Takes over the caller's reference on @cgrp. */
static struct cgroup_policy *new_policy(struct cgroup *cgrp,
					struct bpf_link *link, void *ops)
{
	struct cgroup_policy *policy = kzalloc(sizeof(*policy), GFP_KERNEL);

	if (!policy) {
		cgroup_put(cgrp);
		return NULL;
	}
	policy->cgroup = cgrp;
	policy->link = link;
	RCU_INIT_POINTER(policy->ops, ops);
	return policy;
}

static void free_policy(struct cgroup_policy *policy)
{
	cgroup_put(policy->cgroup);
	kfree(policy);
}

static void add_policy(struct cgroup_policies *policies,
		       struct cgroup_policy *policy)
{
	lockdep_assert_held(&hooks_lock);
	hash_add_rcu(policies->by_cgroup, &policy->node,
		     (unsigned long)policy->cgroup);
	WRITE_ONCE(policies->count, policies->count + 1);
}

/* The caller waits for RCU before it frees the policy. */
static void remove_policy(struct cgroup_policies *policies,
			  struct cgroup_policy *policy)
{
	lockdep_assert_held(&hooks_lock);
	hash_del_rcu(&policy->node);
	WRITE_ONCE(policies->count, policies->count - 1);
}

/*
 * The cgroup that memory of @mm is charged to: where the memory controller is
 * off, an ancestor of the process's own. Under RCU.
 */
static struct cgroup *memory_cgroup(struct mm_struct *mm)
{
	struct mem_cgroup *memcg;

	memcg = mem_cgroup_from_task(rcu_dereference(mm->owner));
	return memcg ? memcg->css.cgroup : &cgrp_dfl_root.cgrp;
}
