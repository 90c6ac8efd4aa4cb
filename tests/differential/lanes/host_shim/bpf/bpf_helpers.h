/* Stands in for libbpf's header: maps are tables that the lane registers by their address. */
#ifndef POLICYC_HOST_BPF_HELPERS
#define POLICYC_HOST_BPF_HELPERS

#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define SEC(name) __attribute__((used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __ksym

/* Ways up the tree of cgroups, without what the verifier wants of them. */
#define MAY_GO_ON true
#define UNKNOWN_ZERO(number) 0
#define KEEP_AS_INDEX(number) ((void)0)

void *bpf_map_lookup_elem(void *map, const void *key);

#endif
