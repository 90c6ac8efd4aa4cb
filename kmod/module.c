// SPDX-License-Identifier: GPL-2.0
/* Loading and unloading. */
#include "hooks.h"

static bool untested;
module_param(untested, bool, 0444);
MODULE_PARM_DESC(untested, "load on a kernel on which the module was not tested");

static int signature = POLICYC_THP;
module_param(signature, int, 0444);
MODULE_PARM_DESC(signature, "version of bpf_thp_ops (read only)");

/* How the modules with other signatures know that this one is there. */
extern const char policyc_hooks_is_loaded[];
const char policyc_hooks_is_loaded[] = KBUILD_MODNAME;

static int check_kernel(void)
{
	if (LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)) {
		pr_err("needs Linux 6.12 or later\n");
		return -EOPNOTSUPP;
	}
	if (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && !untested) {
		pr_err("not tested on this kernel, only on 6.12; untested=1 loads it\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* One interface at a time: two modules would answer for the same faults. */
static int check_alone(void)
{
	static const char * const names[] = {
		"policyc_hooks", "policyc_hooks_v7", "policyc_hooks_v9",
	};
	char symbol[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], KBUILD_MODNAME))
			continue;
		snprintf(symbol, sizeof(symbol), "%s:policyc_hooks_is_loaded",
			 names[i]);
		if (static_call(symbol_lookup)(symbol)) {
			pr_err("%s is loaded; only one of them can be\n", names[i]);
			return -EBUSY;
		}
	}
	return 0;
}

/* Without BTF the kernel registers nothing, and calls it a success. */
static int register_types(void)
{
	int ret = register_bpf_struct_ops(&thp_struct_ops, bpf_thp_ops) ?:
		  register_bpf_struct_ops(&mthp_struct_ops, bpf_mthp_ops) ?:
		  register_bpf_struct_ops(&numab_struct_ops, bpf_numab_ops);

	return ret ?: mthp_struct_ops.func_models[0].nr_args ? 0 : -ENOENT;
}

/* Also after an initialisation that ended early. */
static void remove_hooks(void)
{
	link_create_hook.users = 0;
	entry_hook_remove(&link_create_hook);
	numab_remove();
	thp_remove();
	synchronize_rcu_tasks();	/* tails of redirections and task works */
	rcu_barrier();			/* kfree_rcu() */
}

static int prepare_hooks(void)
{
	int ret = thp_prepare() ?: numab_prepare() ?:
		  entry_hook_prepare(&link_create_hook);

	if (ret)
		return ret;
	mutex_lock(&hooks_lock);
	ret = entry_hook_get(&link_create_hook);
	mutex_unlock(&hooks_lock);
	return ret;
}

static int __init hooks_module_init(void)
{
	int ret = check_kernel() ?: find_symbols() ?: check_alone();

	if (ret)
		return ret;
	ret = prepare_hooks();
	if (!ret) {
		ret = register_types();
		if (ret)
			pr_err("no struct_ops: %d (was it built without vmlinux or pahole?)\n", ret);
	}
	if (!ret) {
		pr_info("bpf_thp_ops (v%d), bpf_mthp_ops, bpf_numab_ops\n", signature);
		return 0;
	}
	remove_hooks();
	return ret;
}

/* No policy is attached any more: each holds a reference on the module. */
static void __exit hooks_module_exit(void)
{
	remove_hooks();
}

module_init(hooks_module_init);
module_exit(hooks_module_exit);
MODULE_LICENSE("GPL");
