// SPDX-License-Identifier: GPL-2.0
/* bpf_mthp_ops. */
#include "answers.h"

struct bpf_mthp_ops {
	unsigned long (*mthp_choose)(struct cgroup *cgrp, unsigned long orders);
};

#ifndef EMPTY
SEC("struct_ops/mthp_choose")
unsigned long BPF_PROG(choose, struct cgroup *cgrp, unsigned long orders)
{
	return answer(0, cgrp->kn->id, orders, 0);
}
#endif

INSTANCE
struct bpf_mthp_ops mthp = {
#ifndef EMPTY
	.mthp_choose = (void *)choose,
#endif
};
