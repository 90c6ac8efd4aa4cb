// SPDX-License-Identifier: GPL-2.0
/* bpf_mthp_ops. */
#include "answers.h"

struct bpf_mthp_ops {
	unsigned long (*mthp_choose)(struct cgroup *cgrp, unsigned long orders);
};

SEC("struct_ops/mthp_choose")
unsigned long BPF_PROG(choose, struct cgroup *cgrp, unsigned long orders)
{
	return answer(0, cgrp->kn->id, orders, 0);
}

SEC(".struct_ops.link")
struct bpf_mthp_ops mthp = {
	.mthp_choose = (void *)choose,
};
