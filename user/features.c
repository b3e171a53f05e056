// SPDX-License-Identifier: GPL-2.0-only
#include "features.h"

#include <bpf/btf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "preemption.h"
#include "symbols.h"
#include "targets.h"

#define BTF_DIR		"/sys/kernel/btf"
#define LOCKDOWN_FILE	"/sys/kernel/security/lockdown"

/* What the facility's module was called: the only one that ever had it. */
#define MODULE		"vfio"

#define REFERENCE	"iovab_ref"

/*
 * Why each is needed: BPF loads the programs and maps; PERFMON lets them read
 * kernel memory and attach; SYS_ADMIN lets libbpf go through the BTF of the
 * kernel's modules (BPF_BTF_GET_NEXT_ID asks for it).
 */
static const struct {
	unsigned int cap;
	const char *name;
} needed_caps[] = {
	{ CAP_BPF, "CAP_BPF" },
	{ CAP_PERFMON, "CAP_PERFMON" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
};

static int effective_caps(__u64 *caps)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	*caps = (__u64)data[1].effective << 32 | data[0].effective;
	return 0;
}

static int check_caps(struct iovab_error *e)
{
	char missing[128] = "";
	__u64 caps = 0;
	size_t i;

	if (effective_caps(&caps))
		return 0;	/* loading will tell */
	for (i = 0; i < sizeof(needed_caps) / sizeof(needed_caps[0]); i++) {
		if (caps & 1ULL << needed_caps[i].cap)
			continue;
		if (missing[0])
			strcat(missing, ", ");
		strcat(missing, needed_caps[i].name);
	}
	if (!missing[0])
		return 0;
	return error__set(e, IOVAB_EXIT_PRIVILEGE,
			  "tracing the kernel is not permitted: %s missing; run as root or grant %s",
			  missing, strchr(missing, ',') ? "them" : "it");
}

static int check_lockdown(struct iovab_error *e)
{
	char line[128] = "";
	FILE *file = fopen(LOCKDOWN_FILE, "re");

	if (!file)
		return 0;	/* no lockdown in this kernel */
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	if (!strstr(line, "[confidentiality]"))
		return 0;
	return error__set(e, IOVAB_EXIT_PRIVILEGE,
			  "kernel lockdown is in mode 'confidentiality', which forbids BPF to read kernel memory; boot with lockdown=integrity or none");
}

int features__check_access(struct iovab_error *e)
{
	if (check_caps(e) || check_lockdown(e))
		return -1;
	if (access(BTF_DIR "/vmlinux", R_OK))
		return error__set(e, IOVAB_EXIT_NO_BPF,
				  "this kernel has no type information (" BTF_DIR "/vmlinux: %s); it needs CONFIG_DEBUG_INFO_BTF=y",
				  strerror(errno));
	return 0;
}

bool features__module_loaded(void)
{
	return !access("/sys/module/" MODULE, F_OK);
}

bool features__reference_loaded(void)
{
	return !access("/sys/module/" REFERENCE, F_OK);
}

/* The clients' modules that are loaded: bits. */
static unsigned int client_modules(void)
{
	static const char *const folders[] = { "/sys/module/vfio", "/sys/module/iommufd",
					       "/sys/module/" REFERENCE };
	unsigned int i, bits = 0;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		bits |= !access(folders[i], F_OK) << i;
	return bits;
}

static void find_modules(struct features *f)
{
	f->client_modules = client_modules();
	f->reference = features__reference_loaded();
}

bool features__client_came(const struct features *f)
{
	return client_modules() & ~f->client_modules;
}

/* Whether a list of modules (modules.dep, modules.builtin) names vfio.ko. */
static bool list_names_module(const char *release, const char *list)
{
	char path[256], line[4096];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/lib/modules/%s/%s", release, list);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, ":\n")] = '\0';
		found = strstr(line, "/" MODULE ".ko") != NULL;
	}
	fclose(file);
	return found;
}

/* Can a module still bring the facility? Yes, too, where nobody can tell. */
static bool module_may_come(void)
{
	char path[256];
	struct utsname u;

	if (features__module_loaded() || uname(&u))
		return false;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", u.release);
	if (access(path, R_OK))
		return true;
	return list_names_module(u.release, "modules.dep");
}

static bool has_func(const struct btf *btf, const char *name)
{
	return targets__find_own(btf, name, BTF_KIND_FUNC);
}

static const struct btf_member *find_member(const struct btf *btf, const char *type,
					    const char *name)
{
	__u32 id = targets__find_own(btf, type, BTF_KIND_STRUCT);
	const struct btf_type *t;
	int i;

	if (!id)
		return NULL;
	t = btf__type_by_id(btf, id);
	for (i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), name))
			return &btf_members(t)[i];
	return NULL;
}

/* Bytes that an index counts: the size of what iova_bitmap.bitmap points to. */
static __u32 find_index_bytes(const struct btf *btf)
{
	const struct btf_member *m = find_member(btf, "iova_bitmap", "bitmap");
	const struct btf_type *t;
	__s64 size;

	if (!m)
		return 0;
	t = btf__type_by_id(btf, btf__resolve_type(btf, m->type));
	if (!t || !btf_is_ptr(t))
		return 0;
	size = btf__resolve_size(btf, t->type);
	return size == 1 || size == 8 ? size : 0;
}

/*
 * v6.8 ("iommufd: set_ahead") and v6.11 (pinning inside set, mapped.length)
 * changed when windows are pinned; each left its mark in the structures.
 */
static enum iovab_generation find_generation(const struct btf *btf)
{
	if (find_member(btf, "iova_bitmap", "set_ahead_length"))
		return IOVAB_GENERATION_UNKNOWN;
	if (find_member(btf, "iova_bitmap_map", "length"))
		return IOVAB_LAZY;
	/* an eager kernel's pins can be told apart in its get only */
	return has_func(btf, "iova_bitmap_get") ? IOVAB_EAGER : IOVAB_GENERATION_UNKNOWN;
}

/* Where each signal is taken, by generation. */
#define HOOK(name, func, where, lowest) \
	{ .signal = name, .function = func, .how = where, .tier = IOVAB_TIER_##lowest }
static const struct features_hook eager_hooks[FEATURES_SIGNALS] = {
	HOOK("alloc", "iova_bitmap_alloc", "at its exit; begins with the first pin, inside it", WINDOWS),
	HOOK("free", "iova_bitmap_free", "at its entry", WINDOWS),
	HOOK("for_each", "iova_bitmap_for_each", "at entry and exit", WINDOWS),
	HOOK("set", "iova_bitmap_set", "at its entry", SETS),
	HOOK("pin", "iova_bitmap_get", "at entry and exit", WINDOWS),
	HOOK("unpin", "unpin_user_pages", "at its entry, if the pages are a report's", WINDOWS),
};

static const struct features_hook lazy_hooks[FEATURES_SIGNALS] = {
	HOOK("alloc", "iova_bitmap_alloc", "at its exit", WINDOWS),
	HOOK("free", "iova_bitmap_free", "at its entry", WINDOWS),
	HOOK("for_each", "iova_bitmap_for_each", "at entry and exit", WINDOWS),
	HOOK("set", "iova_bitmap_set", "at its entry", SETS),
	HOOK("pin", "pin_user_pages_fast", "at entry and exit, if the pages are a report's", WINDOWS),
	HOOK("unpin", "unpin_user_pages", "at its entry, if the pages are a report's", WINDOWS),
};
#undef HOOK

/* @vmlinux has the memory manager's functions, wherever the facility is. */
static void find_hooks(struct features *f, const struct btf *btf, const struct btf *vmlinux)
{
	size_t i;

	memcpy(f->hooks, f->generation == IOVAB_LAZY ? lazy_hooks : eager_hooks,
	       sizeof(f->hooks));
	for (i = 0; i < FEATURES_SIGNALS; i++) {
		struct features_hook *h = &f->hooks[i];

		if (has_func(btf, h->function) || has_func(vmlinux, h->function))
			h->method = FEATURES_TRAMPOLINE;
	}
}

static void use_kprobe(struct features_hook *h, const char *why)
{
	if (h->method != FEATURES_TRAMPOLINE)
		return;
	h->method = FEATURES_KPROBE;
	h->why = why;
}

void features__use_kprobes(struct features *f, const char *why)
{
	size_t i;

	f->kprobes = true;
	for (i = 0; i < FEATURES_SIGNALS; i++) {
		use_kprobe(&f->hooks[i], why);
		f->hooks[i].paired = false;
	}
}

/*
 * Where the kernel preempts, what opens and ends reports and windows must not be kept
 * out of turn: it has both ways. An unpin that is missed does no harm, for the next pin or
 * the free end the window, too. A mark may be missed (it is counted): a kprobe would be
 * dearer for each. And for_each goes on as long as the report, while the kernel follows
 * a few calls only, 10 or two a CPU, to a kretprobe at their end.
 */
static void evade_preemption(struct features *f)
{
	static const enum features_signal signals[] = {
		FEATURES_ALLOC, FEATURES_FREE, FEATURES_PIN, FEATURES_UNPIN
	};
	bool all = true;
	size_t i;

	f->preempts = preemption__on();
	if (!f->preempts)
		return;
	for (i = 0; i < FEATURES_SIGNALS; i++)
		all &= f->hooks[i].method == FEATURES_TRAMPOLINE;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct features_hook *h = &f->hooks[signals[i]];

		h->paired = all && signals[i] != FEATURES_UNPIN;
		use_kprobe(h, h->paired ? "this kernel preempts; a trampoline besides" :
					  "this kernel preempts");
	}
}

/* What is looked up by name; behind these the functions without type information. */
enum { VFIO_CALLBACK, IOMMUFD_CALLBACK, DIRECT_MAP_VAR, PAGE_MAP_VAR, WITHOUT_TYPE };

void features__find_symbols(struct features *f)
{
	struct symbol symbols[WITHOUT_TYPE + FEATURES_SIGNALS] = {
		[VFIO_CALLBACK].name = "vfio_device_log_read_and_clear",
		[IOMMUFD_CALLBACK].name = "__iommu_read_and_clear_dirty",
		/* x86 that lays its memory out at boot */
		[DIRECT_MAP_VAR].name = "page_offset_base",
		[PAGE_MAP_VAR].name = "vmemmap_base",
	};
	struct features_hook *hooks[WITHOUT_TYPE + FEATURES_SIGNALS];
	size_t i, n = WITHOUT_TYPE;

	/* first: one that comes meanwhile may be missed now, and is seen to have come */
	find_modules(f);
	for (i = 0; i < FEATURES_SIGNALS; i++) {
		if (f->hooks[i].method)
			continue;
		hooks[n] = &f->hooks[i];
		symbols[n++].name = f->hooks[i].function;
	}
	symbols__find(symbols, n);
	f->vfio = symbols[VFIO_CALLBACK].there;
	f->vfio_callback = symbols[VFIO_CALLBACK].addr;
	f->iommufd = symbols[IOMMUFD_CALLBACK].there;
	f->iommufd_callback = symbols[IOMMUFD_CALLBACK].addr;
	f->direct_map_var = symbols[DIRECT_MAP_VAR].addr;
	f->page_map_var = symbols[PAGE_MAP_VAR].addr;
	/* such a function can be probed, if it is there */
	for (i = WITHOUT_TYPE; i < n; i++) {
		if (!symbols[i].there)
			continue;
		hooks[i]->method = FEATURES_KPROBE;
		hooks[i]->why = "it has no type information";
	}
}

static bool look_into(struct features *f, const struct btf *btf, const struct btf *vmlinux,
		      const char *where)
{
	if (!has_func(btf, "iova_bitmap_for_each") || !has_func(btf, "iova_bitmap_set"))
		return false;
	f->present = true;
	snprintf(f->where, sizeof(f->where), "%s", where);
	f->index_bytes = find_index_bytes(btf);
	f->generation = f->index_bytes ? find_generation(btf) : IOVAB_GENERATION_UNKNOWN;
	find_hooks(f, btf, vmlinux);
	evade_preemption(f);
	return true;
}

/* Goes through the BTF of all modules; the likely one first. */
static void look_into_modules(struct features *f, struct btf *vmlinux)
{
	const char *first = MODULE;
	struct dirent *entry;
	struct btf *btf;
	DIR *dir;

	btf = btf__load_module_btf(first, vmlinux);
	if (btf) {
		look_into(f, btf, vmlinux, first);
		btf__free(btf);
	}
	dir = f->present ? NULL : opendir(BTF_DIR);
	while (dir && !f->present && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "vmlinux") ||
		    !strcmp(entry->d_name, first))
			continue;
		btf = btf__load_module_btf(entry->d_name, vmlinux);
		if (!btf)
			continue;
		look_into(f, btf, vmlinux, entry->d_name);
		btf__free(btf);
	}
	if (dir)
		closedir(dir);
}

int features__probe(struct features *f, struct iovab_error *e)
{
	struct btf *vmlinux = btf__load_vmlinux_btf();

	memset(f, 0, sizeof(*f));
	if (!vmlinux)
		return error__set(e, IOVAB_EXIT_NO_BPF,
				  "cannot read the kernel's type information: %s",
				  strerror(errno));
	if (!look_into(f, vmlinux, vmlinux, "vmlinux"))
		look_into_modules(f, vmlinux);
	btf__free(vmlinux);

	if (f->present)
		features__find_symbols(f);
	else
		find_modules(f);
	f->expected = !f->present && module_may_come();
	if (!f->present && !f->expected && !f->reference)
		return error__set(e, IOVAB_EXIT_NO_FACILITY,
				  "this kernel has no iova_bitmap: no VFIO driver or IOMMU can report dirty pages; it needs CONFIG_VFIO (6.1 to 6.6) or CONFIG_IOMMUFD (6.7 and later)");
	if (f->present && f->generation == IOVAB_GENERATION_UNKNOWN)
		return error__set(e, IOVAB_EXIT_NO_FACILITY,
				  "this kernel's iova_bitmap (in %s) is of a generation that this version of iovab does not know; nothing was attached",
				  f->where);
	return 0;
}

enum iovab_tier features__best_tier(const struct features *f)
{
	enum iovab_tier best = IOVAB_TIER_SETS;
	size_t i;

	for (i = 0; i < FEATURES_SIGNALS; i++)
		if (!f->hooks[i].method && f->hooks[i].tier <= best)
			best = f->hooks[i].tier - 1;
	return best;
}

const char *features__name(enum iovab_generation g)
{
	switch (g) {
	case IOVAB_EAGER:
		return "eager";
	case IOVAB_LAZY:
		return "lazy";
	case IOVAB_GENERATION_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *features__describe(enum iovab_generation g)
{
	switch (g) {
	case IOVAB_EAGER:
		return "6.1 (windows pinned in turn)";
	case IOVAB_LAZY:
		return "6.11 (windows pinned by marks)";
	case IOVAB_GENERATION_UNKNOWN:
		break;
	}
	return "unknown";
}
