/* Behind the emitted text: the tables behind its maps, and a loop over many requests. */
#define MAX_TABLES 256

struct table {
	const void *map;
	unsigned int key_size;
	unsigned int value_size;
	unsigned long count;
	const unsigned char *keys;
	unsigned char *values;
};

static struct table tables[MAX_TABLES];
static unsigned int table_count;

/* Registers the contents of a map, or replaces them. */
void lane_table(const void *map, unsigned int key_size, unsigned int value_size,
		unsigned long count, const unsigned char *keys, unsigned char *values)
{
	unsigned int place = 0;

	while (place < table_count && tables[place].map != map)
		place++;
	if (place == MAX_TABLES)
		__builtin_trap();
	if (place == table_count)
		table_count++;
	tables[place] = (struct table){map, key_size, value_size, count, keys, values};
}

void *bpf_map_lookup_elem(void *map, const void *key)
{
	for (unsigned int place = 0; place < table_count; place++) {
		struct table *table = &tables[place];

		if (table->map != map)
			continue;
		for (unsigned long entry = 0; entry < table->count; entry++)
			if (!__builtin_memcmp(table->keys + entry * table->key_size, key, table->key_size))
				return table->values + entry * table->value_size;
		return (void *)0;
	}
	return (void *)0;
}

#define LANE(hook)                                                                             \
	void lane_##hook(const unsigned char *requests, unsigned char *answers,                \
			 unsigned long count)                                                  \
	{                                                                                      \
		const struct hook##_packet *packet = (const void *)requests;                   \
		struct hook##_answer *answer = (void *)answers;                                \
                                                                                               \
		for (; count; count--, packet++, answer++)                                     \
			hook##_write_answer(packet, packet + 1, answer);                       \
	}
