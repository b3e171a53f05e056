// SPDX-License-Identifier: GPL-2.0-only
#include "symbols.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iovab_symbol.h"
#include "symbol.skel.h"

/* 0, or -errno if the kernel gives no answer. */
static int ask_for(int prog_fd, struct symbol *s)
{
	struct symbol_question q = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &q, .ctx_size_in = sizeof(q));
	int err;

	if (strlen(s->name) >= sizeof(q.name))
		return -ENAMETOOLONG;
	strcpy(q.name, s->name);
	err = bpf_prog_test_run_opts(prog_fd, &run);
	if (!err)
		err = run.retval;
	if (err && err != -ENOENT)
		return err;
	s->there = !err;
	s->addr = err ? 0 : q.addr;
	return 0;
}

static int ask(struct symbol *symbols, size_t n)
{
	struct symbol_bpf *bpf = symbol_bpf__open_and_load();
	int err = bpf ? 0 : -errno;
	size_t i;

	for (i = 0; !err && i < n; i++)
		err = ask_for(bpf_program__fd(bpf->progs.symbol_find), &symbols[i]);
	symbol_bpf__destroy(bpf);
	return err;
}

/*
 * A line of kallsyms: "ADDRESS TYPE NAME", and a tab and the module of what is one's.
 * Cut to the name, which is returned; NULL: it is none. (sscanf takes ten times as long.)
 */
static const char *cut_name(char *line)
{
	char *name = strchr(line, ' ');

	if (!name || !name[1] || name[2] != ' ')
		return NULL;
	name += 3;
	name[strcspn(name, "\t\n")] = '\0';
	return name;
}

static void read_list(struct symbol *symbols, size_t n)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512];
	size_t i;

	while (file && fgets(line, sizeof(line), file)) {
		const char *name = cut_name(line);

		for (i = 0; name && i < n; i++) {
			if (strcmp(name, symbols[i].name))
				continue;
			symbols[i].there = true;
			symbols[i].addr = strtoull(line, NULL, 16);
		}
	}
	if (file)
		fclose(file);
}

void symbols__find(struct symbol *symbols, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		symbols[i].there = false;
		symbols[i].addr = 0;
	}
	if (ask(symbols, n))
		read_list(symbols, n);
}
