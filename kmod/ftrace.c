// SPDX-License-Identifier: GPL-2.0
/*
 * Handlers at the entry of kernel functions. A handler is in place while
 * something attached needs it, so that without policies nothing is slower. It
 * stays for a while after that, since taking it away waits until every task has
 * left it, which can take a second. So handlers look whether there is something
 * to do.
 *
 * All are FTRACE_OPS_FL_PERMANENT: kernel.ftrace_enabled cannot be switched off
 * under an attached policy, and nothing can be attached while it is off.
 */
#include "hooks.h"

struct entry_hook {
	struct ftrace_ops fops;
	const char *function;
	void *instead;		/* of a redirection: what is run */
	unsigned int users;	/* under hooks_lock, like in_place */
	bool in_place;
	struct delayed_work idle;
};

#define ENTRY_HOOK_IDLE_TIME	(10 * HZ)

static void entry_hook_idle(struct work_struct *work);

#define ENTRY_HOOK(_name, _function, handler, _flags, _instead)		\
static struct entry_hook _name = {									\
	.fops = {							\
		.func = handler,					\
		.flags = FTRACE_OPS_FL_SAVE_REGS |			\
			 FTRACE_OPS_FL_RECURSION |			\
			 FTRACE_OPS_FL_PERMANENT | (_flags),		\
	},								\
	.function = _function,						\
	.instead = _instead,						\
	.idle = __DELAYED_WORK_INITIALIZER(_name.idle, entry_hook_idle, 0), \
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
	if (!hook->in_place)
		ret = register_ftrace_function(&hook->fops);
	if (ret) {
		pr_err("no hook at %s: %d (a live patch, or kernel.ftrace_enabled=0?)\n",
		       hook->function, ret);
		return ret;
	}
	hook->in_place = true;
	hook->users++;
	return 0;
}

static void entry_hook_put(struct entry_hook *hook)
{
	lockdep_assert_held(&hooks_lock);
	if (!--hook->users)
		mod_delayed_work(system_unbound_wq, &hook->idle,
				 ENTRY_HOOK_IDLE_TIME);
}

/* Returns when the handler runs on no CPU. */
static void entry_hook_take_away(struct entry_hook *hook)
{
	mutex_lock(&hooks_lock);
	if (!hook->users && hook->in_place) {
		unregister_ftrace_function(&hook->fops);
		hook->in_place = false;
	}
	mutex_unlock(&hooks_lock);
}

static void entry_hook_idle(struct work_struct *work)
{
	entry_hook_take_away(container_of(to_delayed_work(work),
					  struct entry_hook, idle));
}

/* When the module is unloaded: there are no users. */
static void entry_hook_remove(struct entry_hook *hook)
{
	cancel_delayed_work_sync(&hook->idle);
	entry_hook_take_away(hook);
	ftrace_free_filter(&hook->fops);
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
