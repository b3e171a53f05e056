// SPDX-License-Identifier: GPL-2.0-only
#include "targets.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define MAX_MODULES 3

static struct {
	bool registered;
	struct btf *vmlinux;		/* NULL: not open */
	struct {
		struct btf *btf;
		int fd;
	} modules[MAX_MODULES];
	size_t n_modules;
} targets;

__u32 targets__find_own(const struct btf *btf, const char *name, __u32 kind)
{
	const struct btf *base = btf__base_btf(btf);
	__u32 id = base ? btf__type_cnt(base) : 1, end = btf__type_cnt(btf);

	for (; id < end; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (btf_kind(t) == kind && !strcmp(btf__name_by_offset(btf, t->name_off), name))
			return id;
	}
	return 0;
}

/* The kernel's BTF object of a module, or -1. */
static int open_module_fd(const char *module)
{
	__u32 id = 0;

	while (!bpf_btf_get_next_id(id, &id)) {
		char name[64] = "";
		struct bpf_btf_info info = { .name = (__u64)(unsigned long)name,
					     .name_len = sizeof(name) };
		__u32 len = sizeof(info);
		int fd = bpf_btf_get_fd_by_id(id);

		if (fd < 0)
			continue;	/* it went meanwhile */
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.kernel_btf &&
		    !strcmp(name, module))
			return fd;
		close(fd);
	}
	return -1;
}

/* One that is not loaded, or whose BTF cannot be had, is left out. */
static void add_module(const char *module)
{
	struct btf *btf = btf__load_module_btf(module, targets.vmlinux);
	int fd = btf ? open_module_fd(module) : -1;

	if (fd < 0) {
		btf__free(btf);
		return;
	}
	targets.modules[targets.n_modules].btf = btf;
	targets.modules[targets.n_modules++].fd = fd;
}

/* Called by libbpf before it loads a program. */
static int name_target(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	const char *slash = strchr(bpf_program__section_name(prog), '/');
	size_t i;

	if (!slash || !targets.vmlinux)
		return -EINVAL;
	for (i = 0; i < targets.n_modules; i++) {
		opts->attach_btf_id = targets__find_own(targets.modules[i].btf, slash + 1,
							BTF_KIND_FUNC);
		if (!opts->attach_btf_id)
			continue;
		opts->attach_btf_obj_fd = targets.modules[i].fd;
		return 0;
	}
	opts->attach_btf_id = targets__find_own(targets.vmlinux, slash + 1, BTF_KIND_FUNC);
	return opts->attach_btf_id ? 0 : -ESRCH;
}

static int attach_target(const struct bpf_program *prog, long cookie, struct bpf_link **link)
{
	*link = bpf_program__attach_trace(prog);
	return *link ? 0 : -errno;
}

/* In place of libbpf's own sections of these names. */
static int register_sections(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = name_target,
		    .prog_attach_fn = attach_target);
	int err;

	if (targets.registered)
		return 0;
	err = libbpf_register_prog_handler("fentry+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY,
					   &opts);
	if (err >= 0)
		err = libbpf_register_prog_handler("fexit+", BPF_PROG_TYPE_TRACING,
						   BPF_TRACE_FEXIT, &opts);
	targets.registered = err >= 0;
	return err < 0 ? err : 0;
}

int targets__open(const char *module)
{
	static const char *const clients[] = { "vfio", "iommufd" };
	int err = register_sections();
	size_t i;

	if (err)
		return err;
	targets.vmlinux = btf__load_vmlinux_btf();
	if (!targets.vmlinux)
		return -errno;
	if (module)
		add_module(module);
	for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		if (!module || strcmp(clients[i], module))
			add_module(clients[i]);
	return 0;
}

void targets__close(void)
{
	while (targets.n_modules) {
		btf__free(targets.modules[--targets.n_modules].btf);
		close(targets.modules[targets.n_modules].fd);
	}
	btf__free(targets.vmlinux);
	targets.vmlinux = NULL;
}
