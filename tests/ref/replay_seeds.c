// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's inputs once more, on a machine that has no fuzzer: one of the other byte
 * order, emulated (case T20). Each file named is an input, and so is what comes of it when
 * bytes of it are changed, one after the other. A difference ends the program.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT 4096
#define CHANGES 100	/* of each input */

/* The shim tells AddressSanitizer of memory that nobody may touch: there is none here. */
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);

void __asan_poison_memory_region(void const volatile *addr, size_t size)
{
}

void __asan_unpoison_memory_region(void const volatile *addr, size_t size)
{
}

static uint32_t dice(void)
{
	static uint32_t x = 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static int replay(const char *path)
{
	static uint8_t data[MAX_INPUT];
	FILE *file = fopen(path, "re");
	size_t size;
	int i;

	if (!file)
		return -1;
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	for (i = 0; size && i < CHANGES; i++) {
		data[dice() % size] = dice();
		LLVMFuzzerTestOneInput(data, size);
	}
	return 0;
}

/* TAP, of one test. */
int main(int argc, char **argv)
{
	const uint16_t one = 1;
	int i;

	puts("1..1");
	for (i = 1; i < argc; i++) {
		if (replay(argv[i])) {
			printf("not ok 1 - %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
	}
	printf("%sok 1 - %d inputs, %d changes of each, on a machine that is %s endian\n",
	       argc > 1 ? "" : "not ", argc - 1, CHANGES,
	       *(const uint8_t *)&one ? "little" : "big");
	return argc == 1;
}
