/* SPDX-License-Identifier: GPL-2.0 */
/* What every part of the module sees. The parts are compiled as one file. */
#ifndef HOOKS_H
#define HOOKS_H

#include <linux/binfmts.h>
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/cgroup.h>
#include <linux/ftrace.h>
#include <linux/hashtable.h>
#include <linux/huge_mm.h>
#include <linux/khugepaged.h>
#include <linux/kprobes.h>
#include <linux/memcontrol.h>
#include <linux/memory-tiers.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/sysctl.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/static_key.h>
#include <linux/sysctl.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#if !defined(CONFIG_X86_64) || !defined(CONFIG_DYNAMIC_FTRACE_WITH_REGS) || \
	!defined(CONFIG_KPROBES) || !defined(CONFIG_KALLSYMS_ALL) || \
	!defined(CONFIG_NUMA_BALANCING) || !defined(CONFIG_MEMCG) || \
	!defined(CONFIG_TRANSPARENT_HUGEPAGE)
#error "needs x86-64, DYNAMIC_FTRACE_WITH_REGS, KPROBES, KALLSYMS_ALL, NUMA_BALANCING, MEMCG, THP"
#endif

/*
 * Up to Linux 6.17 thp_vma_allowable_orders() takes flags, from 6.18 on an
 * enum tva_type like that of the hooks, without TVA_SWAP_PAGEFAULT.
 */
#ifdef TVA_ENFORCE_SYSFS
enum {
	tva_flag_smaps = TVA_SMAPS,
	tva_flag_in_pf = TVA_IN_PF,
	tva_flag_enforce_sysfs = TVA_ENFORCE_SYSFS,
};
#undef TVA_SMAPS
#else
#define POLICYC_HAVE_TVA_TYPE
#define TVA_SWAP_PAGEFAULT ((enum tva_type)(TVA_FORCED_COLLAPSE + 1))
#endif

#include "policyc_hooks.h"

/* Serialises attaching, updating and detaching. */
static DEFINE_MUTEX(hooks_lock);

#endif /* HOOKS_H */
