// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_thp_ops for single processes (v10 to v12): which instance manages an mm.
 *
 * A patched kernel has a pointer for it in mm_struct. Here it is a table by mm,
 * which is kept right by the tracepoints sched_process_fork (a child inherits)
 * and sched_prepare_exec (the new program keeps it), and by a handler at
 * exit_mmap() (which drops it before the mm can be used again).
 */
#include "hooks.h"

struct thp_instance {
	struct list_head node;		/* in thp_instances, under hooks_lock */
	void *key;			/* its link, or its ops without a link */
	struct bpf_thp_ops __rcu *ops;
	struct list_head mms;		/* under thp_mms_lock */
};

struct managed_mm {
	struct hlist_node node;
	struct list_head of_instance;
	struct mm_struct *mm;		/* no reference is held */
	struct thp_instance *instance;
	struct rcu_head rcu;
};

static LIST_HEAD(thp_instances);
static DEFINE_HASHTABLE(thp_mms, 10);
static DEFINE_SPINLOCK(thp_mms_lock);	/* never taken in interrupts */
static unsigned int thp_mms_count;

static struct managed_mm *find_mm(struct mm_struct *mm)
{
	struct managed_mm *managed;

	hash_for_each_possible_rcu(thp_mms, managed, node, (unsigned long)mm,
				   lockdep_is_held(&thp_mms_lock))
		if (managed->mm == mm)
			return managed;
	return NULL;
}

static struct bpf_thp_ops *thp_process_ops(struct mm_struct *mm)
{
	struct managed_mm *managed;

	if (!READ_ONCE(thp_mms_count))
		return NULL;
	managed = find_mm(mm);
	return managed ? rcu_dereference(managed->instance->ops) : NULL;
}

static void add_mm(struct managed_mm *managed, struct mm_struct *mm,
		   struct thp_instance *instance)
{
	lockdep_assert_held(&thp_mms_lock);
	managed->mm = mm;
	managed->instance = instance;
	list_add(&managed->of_instance, &instance->mms);
	hash_add_rcu(thp_mms, &managed->node, (unsigned long)mm);
	WRITE_ONCE(thp_mms_count, thp_mms_count + 1);
}

static void drop_mm(struct managed_mm *managed)
{
	lockdep_assert_held(&thp_mms_lock);
	hash_del_rcu(&managed->node);
	list_del(&managed->of_instance);
	WRITE_ONCE(thp_mms_count, thp_mms_count - 1);
	kfree_rcu(managed, rcu);
}

/* In tracepoints, which must not sleep. */
static void inherit(struct mm_struct *from, struct mm_struct *to)
{
	struct managed_mm *managed, *parent;

	if (!from || !to || from == to || !READ_ONCE(thp_mms_count))
		return;
	scoped_guard(rcu)
		if (!find_mm(from))
			return;
	managed = kmalloc(sizeof(*managed), GFP_ATOMIC);
	spin_lock(&thp_mms_lock);
	parent = find_mm(from);
	if (!parent || find_mm(to))
		kfree(managed);
	else if (managed)
		add_mm(managed, to, parent->instance);
	else
		pr_warn_ratelimited("no memory: %s(%d) is without its THP policy\n",
				    current->comm, current->pid);
	spin_unlock(&thp_mms_lock);
}

/* The child does not run yet. */
static void on_fork(void *data, struct task_struct *parent,
		    struct task_struct *child)
{
	inherit(parent->mm, child->mm);
}

/* The point of no return of execve(): the new mm is not in use yet. */
static void on_exec(void *data, struct task_struct *task,
		    struct linux_binprm *bprm)
{
	inherit(task->mm, bprm->mm);
}

/* exit_mmap(mm) */
static void notrace exit_mmap_enter(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *fops,
				    struct ftrace_regs *fregs)
{
	struct managed_mm *managed;

	if (!READ_ONCE(thp_mms_count))
		return;
	spin_lock(&thp_mms_lock);
	managed = find_mm((struct mm_struct *)ftrace_get_regs(fregs)->di);
	if (managed)
		drop_mm(managed);
	spin_unlock(&thp_mms_lock);
}

ENTRY_HOOK(exit_mmap_hook, "exit_mmap", exit_mmap_enter, 0, NULL);

static struct {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} thp_tracepoints[] = {
	{ "sched_process_fork", on_fork },
	{ "sched_prepare_exec", on_exec },
};

static unsigned int thp_tracepoint_users;	/* under hooks_lock */

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(thp_tracepoints); i++)
		if (!strcmp(tp->name, thp_tracepoints[i].name))
			thp_tracepoints[i].tp = tp;
}

static int thp_process_prepare(void)
{
	int i;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(thp_tracepoints); i++) {
		if (!thp_tracepoints[i].tp) {
			pr_err("this kernel has no tracepoint %s: not supported\n",
			       thp_tracepoints[i].name);
			return -ENOENT;
		}
	}
	return entry_hook_prepare(&exit_mmap_hook);
}

static void unregister_tracepoints(int count)
{
	while (count--)
		tracepoint_probe_unregister(thp_tracepoints[count].tp,
					    thp_tracepoints[count].probe, NULL);
	tracepoint_synchronize_unregister();
}

static int tracepoints_get(void)
{
	int i, ret;

	for (i = 0; !thp_tracepoint_users && i < ARRAY_SIZE(thp_tracepoints); i++) {
		ret = tracepoint_probe_register(thp_tracepoints[i].tp,
						thp_tracepoints[i].probe, NULL);
		if (ret) {
			unregister_tracepoints(i);
			return ret;
		}
	}
	thp_tracepoint_users++;
	return 0;
}

static void tracepoints_put(void)
{
	if (!--thp_tracepoint_users)
		unregister_tracepoints(ARRAY_SIZE(thp_tracepoints));
}

/* What follows the processes of one instance. */
static int follow_processes(void)
{
	int ret = tracepoints_get();

	if (ret)
		return ret;
	ret = entry_hook_get(&exit_mmap_hook);
	if (ret)
		tracepoints_put();
	return ret;
}

static void stop_following_processes(void)
{
	entry_hook_put(&exit_mmap_hook);
	tracepoints_put();
}

static struct thp_instance *find_instance(void *key)
{
	struct thp_instance *instance;

	lockdep_assert_held(&hooks_lock);
	list_for_each_entry(instance, &thp_instances, node)
		if (instance->key == key)
			return instance;
	return NULL;
}

/* The mm of a process of the caller's pid namespace, with a reference. */
static struct mm_struct *mm_of_pid(pid_t nr)
{
	struct pid *pid = find_get_pid(nr);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);
	struct mm_struct *mm;

	put_pid(pid);
	if (!task)
		return ERR_PTR(-ESRCH);
	mm = task->flags & PF_EXITING ? ERR_PTR(-ESRCH) : get_task_mm(task);
	put_task_struct(task);
	return mm ?: ERR_PTR(-EINVAL);
}

static int manage_mm(struct thp_instance *instance, struct mm_struct *mm)
{
	struct managed_mm *managed = kmalloc(sizeof(*managed), GFP_KERNEL);
	int ret = 0;

	if (!managed)
		return -ENOMEM;
	spin_lock(&thp_mms_lock);
	if (find_mm(mm))
		ret = -EBUSY;
	else
		add_mm(managed, mm, instance);
	spin_unlock(&thp_mms_lock);
	if (ret)
		kfree(managed);
	return ret;
}

static int thp_reg_process(struct bpf_thp_ops *ops, void *key)
{
	struct thp_instance *instance;
	struct mm_struct *mm;
	int ret;

	lockdep_assert_held(&hooks_lock);
	mm = mm_of_pid(ops->pid);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	ret = -ENOMEM;
	instance = kzalloc(sizeof(*instance), GFP_KERNEL);
	if (!instance)
		goto put_mm;
	instance->key = key;
	RCU_INIT_POINTER(instance->ops, ops);
	INIT_LIST_HEAD(&instance->mms);
	ret = follow_processes();
	if (ret)
		goto free;
	ret = manage_mm(instance, mm);
	if (ret) {
		stop_following_processes();
		goto free;
	}
	list_add(&instance->node, &thp_instances);
	goto put_mm;
free:
	kfree(instance);
put_mm:
	mmput(mm);
	return ret;
}

/* The caller waits for RCU before it frees the instance. */
static void thp_unreg_process(struct thp_instance *instance)
{
	struct managed_mm *managed, *next;

	list_del(&instance->node);
	spin_lock(&thp_mms_lock);
	list_for_each_entry_safe(managed, next, &instance->mms, of_instance)
		drop_mm(managed);
	spin_unlock(&thp_mms_lock);
	stop_following_processes();
}
