// SPDX-License-Identifier: GPL-2.0-only
/*
 * empty: attaches the empty program (empty.bpf.c), says "attached", and waits until its
 * standard input ends. 1: it could not, with libbpf's reason on stderr.
 */
#include <stdio.h>
#include <unistd.h>

#include "empty.skel.h"

int main(void)
{
	struct empty_bpf *skel = empty_bpf__open_and_load();
	char byte;
	int err;

	err = !skel || empty_bpf__attach(skel);
	if (!err) {
		puts("attached");
		fflush(stdout);
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	}
	empty_bpf__destroy(skel);
	return err;
}
