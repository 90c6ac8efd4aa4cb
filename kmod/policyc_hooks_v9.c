// SPDX-License-Identifier: GPL-2.0
/*
 * bpf_thp_ops (v8 and v9: one global program),
 * bpf_mthp_ops and bpf_numab_ops for an unmodified Linux 6.12 on x86-64.
 *
 * One source makes three modules that differ in POLICYC_THP. The parts are
 * compiled as one file, like those of kernel/sched/build_policy.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#define POLICYC_THP 9

#include "symbols.c"
#include "ftrace.c"
#include "cgroups.c"
#include "struct_ops.c"
#include "mthp.c"
#include "khugepaged.c"
#include "thp.c"
#include "numab.c"
#include "module.c"

MODULE_DESCRIPTION("BPF memory policies: bpf_thp_ops v9, bpf_mthp_ops, bpf_numab_ops");
