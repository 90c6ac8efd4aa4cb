// SPDX-License-Identifier: GPL-2.0
/* bpf_numab_ops. */
#include "answers.h"

struct bpf_numab_ops {
	int (*numab_hook)(struct task_struct *p);
	unsigned int hot_thresh;
	int cgroup_id;
};

#ifndef EMPTY
SEC("struct_ops/numab_hook")
int BPF_PROG(balance, struct task_struct *p)
{
	return answer(0, p->tgid, 0, 0);
}
#endif

INSTANCE
struct bpf_numab_ops numab = {
#ifndef EMPTY
	.numab_hook = (void *)balance,
#endif
};
