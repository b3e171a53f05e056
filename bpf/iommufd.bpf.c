// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommufd as a client: which HWPT a report is for, and which devices write
 * through it.
 *
 * A request names its context and, in it, the HWPT. No list leads from there to
 * the devices, and following every attachment would tell nothing of those made
 * before the programs were attached. So the other way round: when a report
 * begins, the objects of the context are gone through; those that are devices
 * lead to their group, and the group to what it is attached to. This is exact at
 * that moment, whenever the attachments were made and however often they changed.
 *
 *	iommufd_ctx.objects  (xarray by id)
 *	  +- iommufd_device -> igroup -> hwpt                   up to 6.14
 *	                              -> pasid_attach[0] -> hwpt   later
 *
 * A device whose HWPT is nested in the one that is asked for writes through it as
 * well. Attachments by PASID are not followed: where a group has any, and where
 * an array is deeper than we go, the devices are said to be unknown.
 *
 * The lists are read without their locks. The programs run in an RCU read section,
 * so an array's nodes stay; a device that is being attached or detached in this
 * very moment may be seen or not.
 */
#include "caller.h"

char LICENSE[] SEC("license") = "GPL";

#define XA_SLOTS	64
#define XA_LEVELS	3		/* 64^3 ids */
#define GROUP_DEVICES	64		/* in one IOMMU group */

/* The least used goes: requests for HWPTs that come to nothing must not fill it for good. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, IOVAB_MAX_SOURCES);
	__type(key, struct iovab_hwpt_key);
	__type(value, struct iovab_hwpt);
} hwpts SEC(".maps");

/* Where the list is made: it is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct iovab_hwpt);
} scratch SEC(".maps");

struct walk {
	__u64 hwpt;			/* address of the object that is asked for */
	__u64 node;			/* the array's node that is gone through */
	bool unknown;
	__u32 attached;
};

/* --- xarrays (lib/xarray.c says how their entries are told apart) --- */

static __always_inline bool is_node(__u64 entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

static __always_inline bool is_pointer(__u64 entry)
{
	return entry && !(entry & 3);
}

static __always_inline __u64 node_slot(__u64 node, __u32 i)
{
	struct xa_node *n = (void *)(node - 2);
	__u64 entry = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry), (void *)n + bpf_core_field_offset(n->slots) +
						     (i % XA_SLOTS) * sizeof(entry));
	return entry;
}

static __always_inline __u32 node_shift(__u64 node)
{
	struct xa_node *n = (void *)(node - 2);

	return BPF_CORE_READ(n, shift) & 63;
}

/*
 * The pointer at @index of the array that begins with @entry; 0: there is none. A global
 * function, as below: the verifier looks at it once, not in each turn of every loop.
 */
__noinline __u64 xa_find(__u64 entry, __u64 index)
{
	__u32 i;

	/* more than the array's top has room for? */
	if (is_node(entry) ? index >> node_shift(entry) >= XA_SLOTS : index)
		return 0;
	for (i = 0; i < XA_LEVELS && is_node(entry); i++)
		entry = node_slot(entry, index >> node_shift(entry));
	return is_pointer(entry) ? entry : 0;
}

/* Does the array hold anything but what is at index 0? That may have a node of its own. */
static __always_inline bool xa_has_more(__u64 entry)
{
	struct xa_node *n = (void *)(entry - 2);

	return is_node(entry) && (node_shift(entry) || BPF_CORE_READ(n, count) != 1 ||
				  !node_slot(entry, 0));
}

/* --- attachments --- */

/* Is it the HWPT that is asked for, or nested in it? */
static __always_inline bool is_asked(const struct walk *w, struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_hwpt_nested *nested = (void *)hwpt;

	if (!hwpt || (__u64)hwpt == w->hwpt)
		return hwpt;
	return bpf_core_type_exists(struct iommufd_hwpt_nested) &&
	       BPF_CORE_READ(hwpt, obj.type) ==
	       bpf_core_enum_value(enum iommufd_object_type, IOMMUFD_OBJ_HWPT_NESTED) &&
	       (__u64)BPF_CORE_READ(nested, parent) == w->hwpt;
}

/* Kernels with attachments by PASID: an array, of which 0 stands for none. */
static __always_inline bool attached_by_pasid(struct walk *w, struct iommufd_device *idev,
					      struct iommufd_group___pasid *group)
{
	__u64 entry = (__u64)BPF_CORE_READ(group, pasid_attach.xa_head);
	struct iommufd_attach *attach;

	if (xa_has_more(entry))
		w->unknown = true;
	attach = (void *)xa_find(entry, 0);
	return attach && is_asked(w, BPF_CORE_READ(attach, hwpt)) &&
	       xa_find((__u64)BPF_CORE_READ(attach, device_array.xa_head),
		       BPF_CORE_READ(idev, obj.id)) == (__u64)idev;
}

/* Older ones: the group's HWPT, and a list of those of its devices that are attached. */
static __always_inline bool attached_by_list(struct walk *w, struct iommufd_device *idev,
					     struct iommufd_group *group)
{
	__u64 mine = (__u64)idev + bpf_core_field_offset(idev->group_item);
	__u64 head = (__u64)group + bpf_core_field_offset(group->device_list);
	struct list_head *item;
	__u32 i;

	if (!is_asked(w, BPF_CORE_READ(group, hwpt)))
		return false;
	item = BPF_CORE_READ(group, device_list.next);
	for (i = 0; i < GROUP_DEVICES && item; i++) {
		if ((__u64)item == mine)
			return true;
		if ((__u64)item == head)
			return false;
		item = BPF_CORE_READ(item, next);
	}
	w->unknown = true;
	return false;
}

static __always_inline bool is_attached(struct walk *w, struct iommufd_device *idev)
{
	struct iommufd_group *group = BPF_CORE_READ(idev, igroup);
	struct iommufd_group___pasid *by_pasid = (void *)group;

	if (bpf_core_field_exists(by_pasid->pasid_attach))
		return attached_by_pasid(w, idev, by_pasid);
	return attached_by_list(w, idev, group);
}

static __always_inline void take_device(struct walk *w, struct device *dev)
{
	__u32 zero = 0, n = w->attached++;
	struct iovab_hwpt *list = bpf_map_lookup_elem(&scratch, &zero);

	if (!list || n >= IOVAB_HWPT_DEVICES)
		return;
	copy_name(list->named[n].device, IOVAB_DEVICE_LEN, BPF_CORE_READ(dev, kobj.name));
	list->named[n].driver[0] = '\0';
	copy_name(list->named[n].driver, IOVAB_DRIVER_LEN, BPF_CORE_READ(dev, driver, name));
}

/* --- the objects of a context --- */

/* Takes what is in slot @i of the node, if it is a device of the HWPT's. Returns 0. */
__noinline int take_slot(struct walk *w, __u32 i)
{
	struct iommufd_device *idev;
	__u64 entry;

	if (!w)
		return 0;
	entry = node_slot(w->node, i);
	idev = (void *)entry;
	if (is_node(entry))
		w->unknown = true;	/* deeper than the two levels that we go */
	if (!is_pointer(entry) ||
	    BPF_CORE_READ(idev, obj.type) !=
	    bpf_core_enum_value(enum iommufd_object_type, IOMMUFD_OBJ_DEVICE))
		return 0;
	if (is_attached(w, idev))
		take_device(w, BPF_CORE_READ(idev, dev));
	return 0;
}

static long take_object(__u32 i, struct walk *w)
{
	take_slot(w, i);
	return 0;
}

static long take_node(__u32 i, struct walk *w)
{
	__u64 above = w->node, entry = node_slot(above, i);

	if (!is_node(entry))
		return 0;
	w->node = entry;
	bpf_loop(XA_SLOTS, take_object, w, 0);
	w->node = above;
	return 0;
}

/* Makes the list of the devices that are attached to @w->hwpt; @head begins the array. */
static __always_inline void list_devices(struct walk *w, __u64 head)
{
	w->node = head;
	if (!is_node(head))
		return;			/* ids begin at 1: it is empty */
	if (node_shift(head))
		bpf_loop(XA_SLOTS, take_node, w, 0);
	else
		bpf_loop(XA_SLOTS, take_object, w, 0);
}

static __always_inline bool is_hwpt(struct iommufd_object *obj)
{
	return BPF_CORE_READ(obj, type) ==
	       bpf_core_enum_value(enum iommufd_object_type, IOMMUFD_OBJ_HWPT_PAGING);
}

static __always_inline void handle_request(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = BPF_CORE_READ(ucmd, cmd);
	struct iommufd_ctx *ictx = BPF_CORE_READ(ucmd, ictx);
	struct caller c = { .client = IOVAB_CLIENT_IOMMUFD, .context = (__u64)ictx };
	struct iovab_hwpt_key key = { .context = (__u64)ictx };
	__u64 head = (__u64)BPF_CORE_READ(ictx, objects.xa_head);
	struct iovab_hwpt *list;
	struct walk w = {};
	__u32 zero = 0;

	c.hwpt = key.hwpt = BPF_CORE_READ(cmd, hwpt_id);
	caller_enter(&c);
	w.hwpt = xa_find(head, key.hwpt);
	list = bpf_map_lookup_elem(&scratch, &zero);
	if (!w.hwpt || !list || !is_hwpt((void *)w.hwpt)) {
		bpf_map_delete_elem(&hwpts, &key);	/* unknown, if there is such a HWPT at all */
		return;
	}
	list_devices(&w, head);
	list->attached = w.attached;
	list->unknown = w.unknown;
	if (bpf_map_update_elem(&hwpts, &key, list, BPF_ANY))
		bpf_map_delete_elem(&hwpts, &key);	/* better none than the one before */
}

static __always_inline void handle_entry(__u64 ucmd)
{
	__u64 now = bpf_ktime_get_ns();

	handle_request((void *)ucmd);
	cost_add(now);
}

static __always_inline void handle_exit(void)
{
	__u64 now = bpf_ktime_get_ns();

	caller_leave();
	cost_add(now);
}

SEC("?fentry/iommufd_hwpt_get_dirty_bitmap")
int iommufd_entry(__u64 *ctx)
{
	__u64 ucmd = 0;

	bpf_get_func_arg(ctx, 0, &ucmd);
	handle_entry(ucmd);
	return 0;
}

SEC("?fexit/iommufd_hwpt_get_dirty_bitmap")
int iommufd_exit(__u64 *ctx)
{
	handle_exit();
	return 0;
}

SEC("?kprobe/iommufd_hwpt_get_dirty_bitmap")
int iommufd_entry_kprobe(struct pt_regs *ctx)
{
	handle_entry(PT_REGS_PARM1(ctx));
	return 0;
}

SEC("?kretprobe/iommufd_hwpt_get_dirty_bitmap")
int iommufd_exit_kprobe(struct pt_regs *ctx)
{
	handle_exit();
	return 0;
}
