// SPDX-License-Identifier: GPL-2.0
/* What the three types have in common. */
#include "hooks.h"

static const struct bpf_func_proto *
hooks_get_func_proto(enum bpf_func_id func_id, const struct bpf_prog *prog)
{
	return bpf_base_func_proto(func_id, prog);
}

/* No btf_struct_access: kernel objects are read-only for the programs. */
static const struct bpf_verifier_ops hooks_verifier_ops = {
	.get_func_proto	= hooks_get_func_proto,
	.is_valid_access = bpf_tracing_btf_ctx_access,
};

static int hooks_init(struct btf *btf)
{
	return 0;
}

/* The programs are called under RCU and must not sleep. */
static int hooks_check_member(const struct btf_type *t,
			      const struct btf_member *member,
			      const struct bpf_prog *prog)
{
	return prog->sleepable ? -EINVAL : 0;
}
