// SPDX-License-Identifier: GPL-2.0
/* workload's commands about nodes. */
#define _GNU_SOURCE
#include "common.h"
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_NODES 8

void set_node(int node)
{
	unsigned long nodes = node < 0 ? 0 : 1ul << node;

	if (syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
		    nodes ? &nodes : NULL, 64))
		return failed("set_mempolicy");
	printf("{}\n");
}

void set_cpu(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return failed("sched_setaffinity");
	printf("{}\n");
}

static int count_nodes(const struct region *region, unsigned long *counts)
{
	unsigned long pages = region->size / PAGE_SIZE;
	void **addresses = calloc(pages, sizeof(*addresses));
	int *status = calloc(pages, sizeof(*status));
	int error = -1;

	if (!addresses || !status)
		goto out;
	for (unsigned long i = 0; i < pages; i++)
		addresses[i] = region->start + i * PAGE_SIZE;
	if (syscall(SYS_move_pages, 0, pages, addresses, NULL, status, 0))
		goto out;
	for (unsigned long i = 0; i < pages; i++)
		if (status[i] >= 0 && status[i] < MAX_NODES)
			counts[status[i]]++;
	error = 0;
out:
	free(addresses);
	free(status);
	return error;
}

static void print_nodes(const unsigned long *counts)
{
	printf("{\"nodes\": [");
	for (int i = 0; i < MAX_NODES; i++)
		printf("%s%lu", i ? ", " : "", counts[i]);
	printf("]}\n");
}

void tell_nodes(const struct region *region)
{
	unsigned long counts[MAX_NODES] = {};

	if (count_nodes(region, counts))
		return failed("move_pages");
	print_nodes(counts);
}

/*
 * Read every page once per @pause seconds, until 90 % of the region is on @node or
 * @wait seconds are over. Only a running task is scanned for NUMA balancing, so the
 * time between two passes is spent busily.
 */
void scan(const struct region *region, double wait, double pause, int node)
{
	unsigned long counts[MAX_NODES] = {}, pages = region->size / PAGE_SIZE;
	double end = seconds() + wait, check = 0, next;
	volatile char sum = 0;

	if (node < 0 || node >= MAX_NODES)
		return failed("node");
	do {
		next = seconds() + pause;
		for (size_t i = 0; i < region->size; i += PAGE_SIZE)
			sum += ((volatile char *)region->start)[i];
		if (seconds() > check) {
			for (int i = 0; i < MAX_NODES; i++)
				counts[i] = 0;
			if (count_nodes(region, counts))
				return failed("move_pages");
			check = seconds() + 0.1;
		}
		while (seconds() < next)
			;
	} while (seconds() < end && counts[node] < pages / 10 * 9);
	tell_nodes(region);
}
