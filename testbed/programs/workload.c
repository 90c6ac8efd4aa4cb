// SPDX-License-Identifier: GPL-2.0
/*
 * workload: does with memory what it is told on standard input, one command a line,
 * and answers each with one line of JSON: {...}, or {"error": "WHAT: ERRNO"}.
 *
 *   map KIND SIZE OFFSET      anon, shared (MAP_SHARED | MAP_ANONYMOUS), memfd or the
 *                             path of a file; starts OFFSET bytes after a multiple of
 *                             PMD_SIZE. {"region": N, "start": ADDRESS, "end": ADDRESS}
 *   unmap REGION
 *   advise REGION OFFSET SIZE ADVICE    a number of madvise(2)
 *   touch REGION OFFSET SIZE  write to every page. {"pages": N, "ns": N}
 *   read REGION OFFSET SIZE   read every page. The same.
 *   churn THREADS SIZE SECONDS  each thread maps SIZE, touches and unmaps it over and
 *                             over. {"pages": N}
 *   node N, cpu N             where memory and the thread shall be, -1: anywhere
 *   nodes REGION              {"nodes": [PAGES-ON-NODE-0, ...]}
 *   scan REGION SECONDS PAUSE NODE  read until the pages are on NODE. As nodes.
 *   comm NAME
 *   thp_disable 0|1           prctl(PR_SET_THP_DISABLE)
 *   fork IN OUT               the child takes its commands from the FIFO IN and
 *                             answers to OUT. {"pid": N}
 *   exec                      {"pid": N} comes from the new image
 *
 * It starts with {"pid": N}, and ends with its input. Options: -c CGROUP (a directory)
 * to join, -n NAME for its comm.
 */
#define _GNU_SOURCE
#include "common.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS 8

static struct region regions[MAX_REGIONS];

void failed(const char *what)
{
	printf("{\"error\": \"%s: %s\"}\n", what, strerrorname_np(errno) ?: "?");
}

double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

unsigned long touch(volatile char *p, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE_SIZE)
		p[i] = 1;
	return size / PAGE_SIZE;
}

static unsigned long look_at(volatile char *p, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE_SIZE)
		(void)p[i];
	return size / PAGE_SIZE;
}

/* Returns -1 for anonymous memory, -2 on failure. */
static int backing_of(const char *kind, size_t size)
{
	int fd;

	if (!strcmp(kind, "anon") || !strcmp(kind, "shared"))
		return -1;
	if (!strcmp(kind, "memfd"))
		fd = memfd_create("workload", 0);
	else
		fd = open(kind, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return -2;
	if (ftruncate(fd, size)) {
		close(fd);
		return -2;
	}
	return fd;
}

int map_region(struct region *region, const char *kind, size_t size, size_t offset)
{
	int flags = MAP_FIXED | (strcmp(kind, "anon") ? MAP_SHARED : MAP_PRIVATE);
	int fd = backing_of(kind, size);
	char *p;

	if (fd == -2)
		return -1;
	region->reserved_size = size + offset + 2 * PMD_SIZE;
	region->reserved = mmap(NULL, region->reserved_size, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region->reserved == MAP_FAILED)
		goto fail;
	/* at least a page without access on both sides */
	p = (char *)(((unsigned long)region->reserved + PMD_SIZE) & ~(PMD_SIZE - 1));
	p = mmap(p + offset, size, PROT_READ | PROT_WRITE,
		 flags | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (p == MAP_FAILED) {
		munmap(region->reserved, region->reserved_size);
		goto fail;
	}
	if (fd >= 0)
		close(fd);
	region->start = p;
	region->size = size;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

static void do_map(char **words)
{
	int i = 0;

	while (i < MAX_REGIONS && regions[i].size)
		i++;
	if (i == MAX_REGIONS) {
		errno = ENOSPC;
		return failed("map");
	}
	if (map_region(&regions[i], words[1], strtoul(words[2], NULL, 0),
		       strtoul(words[3], NULL, 0)))
		return failed("map");
	printf("{\"region\": %d, \"start\": %lu, \"end\": %lu}\n", i,
	       (unsigned long)regions[i].start,
	       (unsigned long)regions[i].start + regions[i].size);
}

static struct region *region_of(const char *word)
{
	unsigned long i = strtoul(word, NULL, 0);

	if (i >= MAX_REGIONS || !regions[i].size) {
		errno = ENOENT;
		failed("region");
		return NULL;
	}
	return &regions[i];
}

static void do_unmap(char **words)
{
	struct region *region = region_of(words[1]);

	if (!region)
		return;
	if (munmap(region->reserved, region->reserved_size))
		return failed("munmap");
	region->size = 0;
	printf("{}\n");
}

/* The part of a region that words 2 and 3 tell. */
static char *part_of(char **words, size_t *size)
{
	struct region *region = region_of(words[1]);
	size_t offset = strtoul(words[2], NULL, 0);

	*size = strtoul(words[3], NULL, 0);
	if (!region)
		return NULL;
	if (offset > region->size || *size > region->size - offset) {
		errno = ERANGE;
		failed("part");
		return NULL;
	}
	return region->start + offset;
}

static void do_advise(char **words)
{
	size_t size;
	char *p = part_of(words, &size);

	if (!p)
		return;
	if (madvise(p, size, atoi(words[4])))
		return failed("madvise");
	printf("{}\n");
}

static void do_access(char **words)
{
	unsigned long pages;
	double start;
	size_t size;
	char *p = part_of(words, &size);

	if (!p)
		return;
	start = seconds();
	pages = words[0][0] == 't' ? touch(p, size) : look_at(p, size);
	printf("{\"pages\": %lu, \"ns\": %.0f}\n", pages, (seconds() - start) * 1e9);
}

struct churn {
	pthread_t thread;
	size_t size;
	double end;
	unsigned long pages;
	int error;
};

static void *churn_thread(void *arg)
{
	struct churn *churn = arg;
	struct region region;

	do {
		if (map_region(&region, "anon", churn->size, 0)) {
			churn->error = errno;
			break;
		}
		churn->pages += touch(region.start, region.size);
		munmap(region.reserved, region.reserved_size);
	} while (seconds() < churn->end);
	return NULL;
}

static void do_churn(char **words)
{
	int count = atoi(words[1]), started = 0, error = 0;
	struct churn *churns = calloc(count > 0 ? count : 1, sizeof(*churns));
	unsigned long pages = 0;

	if (!churns)
		return failed("churn");
	for (; started < count && !error; started++) {
		churns[started].size = strtoul(words[2], NULL, 0);
		churns[started].end = seconds() + atof(words[3]);
		error = pthread_create(&churns[started].thread, NULL, churn_thread,
				       &churns[started]);
	}
	for (int i = 0; i < started - !!error; i++) {
		pthread_join(churns[i].thread, NULL);
		pages += churns[i].pages;
		error = error ?: churns[i].error;
	}
	free(churns);
	errno = error;
	if (error)
		return failed("churn");
	printf("{\"pages\": %lu}\n", pages);
}

static void do_fork(char **words)
{
	pid_t pid;
	int in, out;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return failed("fork");
	if (pid) {
		printf("{\"pid\": %d}\n", pid);
		return;
	}
	in = open(words[1], O_RDONLY);
	out = open(words[2], O_WRONLY);
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(2);
	close(in);
	close(out);
	clearerr(stdin);
}

static void do_exec(void)
{
	fflush(stdout);
	execl("/proc/self/exe", "workload", "-k", (char *)NULL);
	failed("exec");
}

static void do_prctl(int option, unsigned long value)
{
	if (prctl(option, value, 0, 0, 0))
		return failed("prctl");
	printf("{}\n");
}

/* Commands and how many words they have. */
static const struct {
	const char *name;
	int words;
} commands[] = {
	{ "map", 4 },	 { "unmap", 2 },       { "advise", 5 }, { "touch", 4 },
	{ "read", 4 },	 { "churn", 4 },       { "node", 2 },	{ "cpu", 2 },
	{ "nodes", 2 },	 { "scan", 5 },	       { "comm", 2 },	{ "thp_disable", 2 },
	{ "fork", 3 },	 { "exec", 1 },
};

static int is_known(char **words, int count)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(words[0], commands[i].name))
			return count == commands[i].words;
	return 0;
}

static void obey(char **words)
{
	const char *name = words[0];
	struct region *region;

	if (!strcmp(name, "map"))
		do_map(words);
	else if (!strcmp(name, "unmap"))
		do_unmap(words);
	else if (!strcmp(name, "advise"))
		do_advise(words);
	else if (!strcmp(name, "touch") || !strcmp(name, "read"))
		do_access(words);
	else if (!strcmp(name, "churn"))
		do_churn(words);
	else if (!strcmp(name, "node"))
		set_node(atoi(words[1]));
	else if (!strcmp(name, "cpu"))
		set_cpu(atoi(words[1]));
	else if (!strcmp(name, "comm"))
		do_prctl(PR_SET_NAME, (unsigned long)words[1]);
	else if (!strcmp(name, "thp_disable"))
		do_prctl(PR_SET_THP_DISABLE, atoi(words[1]));
	else if (!strcmp(name, "fork"))
		do_fork(words);
	else if (!strcmp(name, "exec"))
		do_exec();
	else if ((region = region_of(words[1])) && !strcmp(name, "nodes"))
		tell_nodes(region);
	else if (region)
		scan(region, atof(words[2]), atof(words[3]), atoi(words[4]));
}

static void join_cgroup(const char *dir)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	f = fopen(path, "w");
	if (!f || fprintf(f, "0") < 0 || fclose(f)) {
		failed(path);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	char line[1024], *words[MAX_WORDS + 1], *word;
	int opt, count, keep = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* no reading ahead: a child or a new image takes over in the middle */
	setvbuf(stdin, NULL, _IONBF, 0);
	while ((opt = getopt(argc, argv, "c:n:k")) != -1) {
		switch (opt) {
		case 'c': join_cgroup(optarg); break;
		case 'n': prctl(PR_SET_NAME, optarg); break;
		case 'k': keep = 1; break;	/* after exec */
		default: return 2;
		}
	}
	/* The test runner has it set for itself. */
	if (!keep)
		prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	printf("{\"pid\": %d}\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		count = 0;
		for (word = strtok(line, " \n"); word && count < MAX_WORDS;
		     word = strtok(NULL, " \n"))
			words[count++] = word;
		words[count] = NULL;
		errno = EINVAL;
		if (!count || !is_known(words, count))
			failed("command");
		else
			obey(words);
	}
	return 0;
}
