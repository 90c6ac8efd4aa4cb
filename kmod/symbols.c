// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does not export: found by name when the module is loaded.
 *
 * Functions are called through static calls, which the kernel patches into
 * direct calls. An indirect call would be fatal on CPUs with indirect branch
 * tracking, since the kernel seals functions whose address it never takes.
 */
#include "hooks.h"

static unsigned long *thp_flags;
static unsigned long *anon_orders_always;
static unsigned long *anon_orders_madvise;
static unsigned long *anon_orders_inherit;
static int *numab_mode;			/* sysctl_numa_balancing_mode */
static unsigned int *numab_hot_threshold;	/* ms */
static struct static_key *numab_key;	/* sched_numa_balancing */

unsigned long kallsyms_lookup_name(const char *name);
int kallsyms_lookup_size_offset(unsigned long addr, unsigned long *size,
				unsigned long *offset);
typedef int numab_sysctl_fn_t(const struct ctl_table *table, int write,
			      void *buffer, size_t *lenp, loff_t *ppos);
extern numab_sysctl_fn_t sysctl_numa_balancing;

DEFINE_STATIC_CALL_NULL(symbol_lookup, kallsyms_lookup_name);
DEFINE_STATIC_CALL_NULL(symbol_size, kallsyms_lookup_size_offset);
DEFINE_STATIC_CALL_NULL(enter_khugepaged, khugepaged_enter_vma);
DEFINE_STATIC_CALL_NULL(create_link, bpf_struct_ops_link_create);
DEFINE_STATIC_CALL_NULL(write_numab_mode, sysctl_numa_balancing);
DEFINE_STATIC_CALL_NULL(is_toptier, node_is_toptier);
#ifndef LAST_CPUPID_NOT_IN_PAGE_FLAGS
DEFINE_STATIC_CALL_NULL(set_last_cpupid, folio_xchg_last_cpupid);
#endif

/* Code of the kernel from @start to before @end. */
struct code_range {
	unsigned long start, end;
};

/* The address of a symbol; 0, with a message, if the kernel has none. */
static unsigned long find_symbol(const char *name)
{
	unsigned long address = static_call(symbol_lookup)(name);

	if (!address)
		pr_err("this kernel has no %s: not supported\n", name);
	return address;
}

static struct code_range find_code(const char *name)
{
	struct code_range range = { .start = static_call(symbol_lookup)(name) };
	unsigned long size, offset;

	if (range.start && static_call(symbol_size)(range.start, &size, &offset))
		range.end = range.start - offset + size;
	return range;
}

static bool code_contains(const struct code_range *range, unsigned long ip)
{
	return ip >= range->start && ip < range->end;
}

/* A kprobe tells the address of the function that tells all others. */
static int find_lookup(void)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	int ret = register_kprobe(&kp);

	if (ret) {
		pr_err("no kprobe on kallsyms_lookup_name: %d\n", ret);
		return ret;
	}
	static_call_update(symbol_lookup, (void *)kp.addr);
	unregister_kprobe(&kp);
	return 0;
}

#define FIND_DATA(pointer, name)	\
	((pointer) = (void *)find_symbol(name))

#define FIND_FUNCTION(call, name)					\
({									\
	void *function = (void *)find_symbol(name);			\
									\
	if (function)							\
		static_call_update(call, function);			\
	function;							\
})

static int find_symbols(void)
{
	int ret = find_lookup();

	if (ret)
		return ret;
	if (!FIND_FUNCTION(symbol_size, "kallsyms_lookup_size_offset") ||
	    !FIND_DATA(thp_flags, "transparent_hugepage_flags") ||
	    !FIND_DATA(anon_orders_always, "huge_anon_orders_always") ||
	    !FIND_DATA(anon_orders_madvise, "huge_anon_orders_madvise") ||
	    !FIND_DATA(anon_orders_inherit, "huge_anon_orders_inherit") ||
	    !FIND_DATA(numab_mode, "sysctl_numa_balancing_mode") ||
	    !FIND_DATA(numab_hot_threshold, "sysctl_numa_balancing_hot_threshold") ||
	    !FIND_DATA(numab_key, "sched_numa_balancing") ||
	    !FIND_FUNCTION(enter_khugepaged, "khugepaged_enter_vma") ||
	    !FIND_FUNCTION(create_link, "bpf_struct_ops_link_create") ||
	    !FIND_FUNCTION(write_numab_mode, "sysctl_numa_balancing") ||
	    !FIND_FUNCTION(is_toptier, "node_is_toptier"))
		return -ENOENT;
#ifndef LAST_CPUPID_NOT_IN_PAGE_FLAGS
	if (!FIND_FUNCTION(set_last_cpupid, "folio_xchg_last_cpupid"))
		return -ENOENT;
#endif
	return 0;
}
