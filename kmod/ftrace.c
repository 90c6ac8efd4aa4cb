// SPDX-License-Identifier: GPL-2.0
/*
 * Handlers at the entry of kernel functions. A handler is in place while
 * something attached needs it, so that without policies nothing is slower.
 *
 * All are FTRACE_OPS_FL_PERMANENT: kernel.ftrace_enabled cannot be switched off
 * under an attached policy, and nothing can be attached while it is off.
 */
#include "hooks.h"

struct entry_hook {
	struct ftrace_ops fops;
	const char *function;
	void *instead;		/* of a redirection: what is run */
	unsigned int users;	/* under hooks_lock */
};

#define ENTRY_HOOK(_function, handler, _flags, _instead)		\
{									\
	.fops = {							\
		.func = handler,					\
		.flags = FTRACE_OPS_FL_SAVE_REGS |			\
			 FTRACE_OPS_FL_RECURSION |			\
			 FTRACE_OPS_FL_PERMANENT | (_flags),		\
	},								\
	.function = _function,						\
	.instead = _instead,						\
}

/* Before the first use: is there such a function, and can it be traced? */
static int entry_hook_prepare(struct entry_hook *hook)
{
	unsigned long address = find_symbol(hook->function);
	int ret;

	if (!address)
		return -ENOENT;
	ret = ftrace_set_filter_ip(&hook->fops, address, 0, 1);
	if (ret)
		pr_err("%s cannot be traced: %d\n", hook->function, ret);
	return ret;
}

static int entry_hook_get(struct entry_hook *hook)
{
	int ret = 0;

	lockdep_assert_held(&hooks_lock);
	if (!hook->users)
		ret = register_ftrace_function(&hook->fops);
	if (ret)
		pr_err("no hook at %s: %d (a live patch, or kernel.ftrace_enabled=0?)\n",
		       hook->function, ret);
	else
		hook->users++;
	return ret;
}

/* Returns when the handler runs on no CPU. */
static void entry_hook_put(struct entry_hook *hook)
{
	lockdep_assert_held(&hooks_lock);
	if (!--hook->users)
		unregister_ftrace_function(&hook->fops);
}

/*
 * Run hook->instead, which may call the function itself, and which must end
 * with module_put(): it can sleep, so only a reference keeps its code.
 */
static void notrace redirect(unsigned long ip, unsigned long parent_ip,
			     struct ftrace_ops *fops, struct ftrace_regs *fregs)
{
	struct entry_hook *hook = container_of(fops, struct entry_hook, fops);

	if (within_module(parent_ip, THIS_MODULE))
		return;		/* called by hook->instead */
	if (try_module_get(THIS_MODULE))
		ftrace_regs_set_instruction_pointer(fregs,
						    (unsigned long)hook->instead);
}
