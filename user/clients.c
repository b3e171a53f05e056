// SPDX-License-Identifier: GPL-2.0-only
#include "clients.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommufd.skel.h"
#include "iovab.skel.h"
#include "vfio.skel.h"

#define MAX_LINKS 2		/* the programs of a client: at entry and exit of its ioctl */

static const struct kind {
	const char *name;
	const void *(*elf)(size_t *size);
	size_t there;		/* offset in struct features: a flag */
} kinds[] = {
	{ "vfio", vfio_bpf__elf_bytes, offsetof(struct features, vfio) },
	{ "iommufd", iommufd_bpf__elf_bytes, offsetof(struct features, iommufd) },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct client {
	bool tried;
	struct bpf_object *obj;		/* NULL: not attached */
	struct bpf_link *links[MAX_LINKS];
	size_t n_links;
};

struct clients {
	struct client client[N_KINDS];	/* as in kinds */
	char error[256];
};

struct clients *clients__new(void)
{
	return calloc(1, sizeof(struct clients));
}

static void client_detach(struct client *c)
{
	while (c->n_links)
		bpf_link__destroy(c->links[--c->n_links]);
	bpf_object__close(c->obj);
	c->obj = NULL;
}

void clients__free(struct clients *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < N_KINDS; i++)
		client_detach(&c->client[i]);
	free(c);
}

/* The maps that the client's object shares with the facility's, by name. */
static int share_maps(struct bpf_object *obj, struct iovab_bpf *bpf)
{
	struct bpf_map *shared[] = { bpf->maps.callers, bpf->maps.callers_lost, bpf->maps.cost };
	size_t i;

	for (i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, bpf_map__name(shared[i]));
		int err = map ? bpf_map__reuse_fd(map, bpf_map__fd(shared[i])) : -ENOENT;

		if (err)
			return err;
	}
	return 0;
}

/* Each program is there for a trampoline and for a kprobe. */
static bool is_wanted(const struct bpf_program *prog, bool kprobes)
{
	return (bpf_program__type(prog) == BPF_PROG_TYPE_KPROBE) == kprobes;
}

/* And a map for kprobes alone. */
static void choose_programs(struct client *c, bool kprobes)
{
	struct bpf_map *calls = bpf_object__find_map_by_name(c->obj, "calls");
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, c->obj)
		bpf_program__set_autoload(prog, is_wanted(prog, kprobes));
	if (calls)
		bpf_map__set_autocreate(calls, kprobes);
}

/* Those that take the caller away again come last in the object, and are attached first. */
static int attach_programs(struct client *c)
{
	struct bpf_program *prog = NULL;

	while ((prog = bpf_object__prev_program(c->obj, prog))) {
		if (bpf_program__fd(prog) < 0)
			continue;
		if (c->n_links == MAX_LINKS)
			return -E2BIG;
		c->links[c->n_links] = bpf_program__attach(prog);
		if (!c->links[c->n_links])
			return -errno;
		c->n_links++;
	}
	return 0;
}

static int client_attach(struct client *c, const struct kind *kind, bool kprobes,
			 struct iovab_bpf *bpf)
{
	size_t size;
	const void *elf = kind->elf(&size);
	int err;

	c->tried = true;
	c->obj = bpf_object__open_mem(elf, size, NULL);
	if (!c->obj)
		return -errno;
	choose_programs(c, kprobes);
	err = share_maps(c->obj, bpf);
	if (!err)
		err = bpf_object__load(c->obj);
	if (!err)
		err = attach_programs(c);
	if (err)
		client_detach(c);
	return err;
}

void clients__attach(struct clients *c, const struct features *f, struct iovab_bpf *bpf)
{
	size_t i;

	for (i = 0; i < N_KINDS; i++) {
		bool there = *(const bool *)((const char *)f + kinds[i].there);
		int err;

		if (!there || c->client[i].tried)
			continue;
		err = client_attach(&c->client[i], &kinds[i], f->kprobes, bpf);
		if (err && !f->kprobes)
			err = client_attach(&c->client[i], &kinds[i], true, bpf);
		if (err)
			snprintf(c->error, sizeof(c->error),
				 "what %s asks for cannot be seen: its reports are counted for an unknown device (%s; --verbose shows what the kernel said)",
				 kinds[i].name, strerror(-err));
	}
}

const char *clients__error(const struct clients *c)
{
	return c->error[0] ? c->error : NULL;
}

int clients__hwpts(const struct clients *c)
{
	size_t i;

	for (i = 0; i < N_KINDS; i++) {
		const struct bpf_object *obj = c->client[i].obj;
		int fd = obj ? bpf_object__find_map_fd_by_name(obj, "hwpts") : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

void clients__add_programs(const struct clients *c, struct programs_sum *sum)
{
	size_t i;

	for (i = 0; i < N_KINDS; i++)
		if (c->client[i].obj)
			programs__add(c->client[i].obj, sum);
}
