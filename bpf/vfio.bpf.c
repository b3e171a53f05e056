// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO as a client: which device a report is for, and in which phase.
 *
 * Both are seen at the one ioctl of a device's descriptor. A request for a report
 * names its device; and since the same ioctl sets the device's migration state,
 * that is known from the first time on that it is set, asked for or reset. What
 * was set before the programs were attached is not known, and not guessed.
 *
 * A state belongs to a device as its owner has it open: when the owner has changed,
 * what the one before set says nothing.
 *
 * The same ioctl starts the device's logging of its writes, which a client does once
 * a migration: so the starts tell one migration from the next.
 */
#include <linux/vfio.h>

#include "caller.h"

char LICENSE[] SEC("license") = "GPL";

struct state {
	__u64 owner_start_ns;	/* the owner as in struct iovab_source_key */
	__u32 pid;
	__u16 phase;		/* enum iovab_phase */
	__u16 logging;		/* number of the start of its logging, from 1 on; 0: none was seen */
};

static __u32 starts;		/* of the logging of any device */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);	/* address of the vfio_device */
	__type(value, struct state);
} states SEC(".maps");

/* The ioctl's argument, as far as it is looked at. */
struct request {
	__u32 argsz;
	__u32 flags;
	__u32 device_state;	/* of MIG_DEVICE_STATE, the first of its data */
};

/* 6.6 put a vfio_device_file between the file and its device. */
static __always_inline struct vfio_device *device_of(const struct file *file)
{
	void *private = BPF_CORE_READ(file, private_data);
	struct vfio_device_file *df = private;

	return bpf_core_type_exists(struct vfio_device_file) ? BPF_CORE_READ(df, device) : private;
}

static __always_inline struct state owner_state(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return (struct state){
		.owner_start_ns = BPF_CORE_READ(task, group_leader, start_boottime),
		.pid = bpf_get_current_pid_tgid() >> 32,
	};
}

/* What is known of the device as this owner has it. */
static __always_inline struct state state_of(struct vfio_device *device)
{
	struct state now = owner_state(), *set;
	__u64 key = (__u64)device;

	set = bpf_map_lookup_elem(&states, &key);
	if (set && set->pid == now.pid && set->owner_start_ns == now.owner_start_ns) {
		now.phase = set->phase;
		now.logging = set->logging;
	}
	return now;
}

static __always_inline void state_keep(struct vfio_device *device, const struct state *now)
{
	__u64 key = (__u64)device;

	bpf_map_update_elem(&states, &key, now, BPF_ANY);
}

static __always_inline void state_learn(struct vfio_device *device, __u32 device_state)
{
	struct state now = state_of(device);

	now.phase = IOVAB_PHASE_UNKNOWN;
	switch (device_state) {
	case VFIO_DEVICE_STATE_RUNNING:
	case VFIO_DEVICE_STATE_RUNNING_P2P:
	case STATE_PRE_COPY:
	case STATE_PRE_COPY_P2P:
		now.phase = IOVAB_PHASE_PRECOPY;
		break;
	case VFIO_DEVICE_STATE_STOP:
	case VFIO_DEVICE_STATE_STOP_COPY:
		now.phase = IOVAB_PHASE_STOP_COPY;
		break;
	default:
		break;
	}
	state_keep(device, &now);
}

static __always_inline void state_forget(struct vfio_device *device)
{
	struct state now = state_of(device);

	now.phase = IOVAB_PHASE_UNKNOWN;
	state_keep(device, &now);
}

/* Two starts in a row differ, and none is 0. */
static __always_inline void logging_start(struct vfio_device *device)
{
	struct state now = state_of(device);

	now.logging = 1 + __sync_fetch_and_add(&starts, 1) % 65535;
	state_keep(device, &now);
}

/* What the request is about; 0: a probe, which does nothing, or not to be read. */
static __always_inline __u32 request_read(struct request *request, __u64 arg)
{
	if (bpf_probe_read_user(request, offsetof(struct request, device_state), (void *)arg) ||
	    request->flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	return request->flags & VFIO_DEVICE_FEATURE_MASK;
}

static __always_inline void handle_report(struct vfio_device *device)
{
	struct state now = state_of(device);
	struct caller c = { .client = IOVAB_CLIENT_VFIO, .phase = now.phase, .logging = now.logging };

	c.name_cut = copy_name(c.device, sizeof(c.device), BPF_CORE_READ(device, dev, kobj.name));
	copy_name(c.driver, sizeof(c.driver), BPF_CORE_READ(device, dev, driver, name));
	copy_name(c.vfio, sizeof(c.vfio), BPF_CORE_READ(device, device.kobj.name));
	caller_enter(&c);
}

/* A state that could not be set may have been reached in part. */
static __always_inline void handle_state(struct vfio_device *device, __u32 flags, __u64 arg,
					 long err)
{
	__u32 device_state;

	if (err && !(flags & VFIO_DEVICE_FEATURE_SET))
		return;
	if (err || bpf_probe_read_user(&device_state, sizeof(device_state),
				       (void *)(arg + offsetof(struct request, device_state))))
		state_forget(device);
	else
		state_learn(device, device_state);
}

static __always_inline void handle_entry(__u64 file, __u64 arg)
{
	__u64 now = bpf_ktime_get_ns();
	struct request request;

	if (request_read(&request, arg) == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT)
		handle_report(device_of((void *)file));
	cost_add(now);
}

static __always_inline void handle_exit(__u64 file, __u32 cmd, __u64 arg, long ret)
{
	__u64 now = bpf_ktime_get_ns();
	struct request request;

	if (cmd == VFIO_DEVICE_RESET) {
		/* a device that was reset runs */
		if (!ret)
			state_learn(device_of((void *)file), VFIO_DEVICE_STATE_RUNNING);
	} else {
		__u32 feature = request_read(&request, arg);

		/* whatever it says now: the thread leaves */
		caller_leave();
		if (feature == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)
			handle_state(device_of((void *)file), request.flags, arg, ret);
		else if (feature == VFIO_DEVICE_FEATURE_DMA_LOGGING_START && !ret)
			logging_start(device_of((void *)file));
	}
	cost_add(now);
}

SEC("?fentry/vfio_device_fops_unl_ioctl")
int vfio_ioctl_entry(__u64 *ctx)
{
	__u64 file = 0, cmd = 0, arg = 0;

	bpf_get_func_arg(ctx, 1, &cmd);
	if ((__u32)cmd != VFIO_DEVICE_FEATURE)
		return 0;
	bpf_get_func_arg(ctx, 0, &file);
	bpf_get_func_arg(ctx, 2, &arg);
	handle_entry(file, arg);
	return 0;
}

SEC("?fexit/vfio_device_fops_unl_ioctl")
int vfio_ioctl_exit(__u64 *ctx)
{
	__u64 file = 0, cmd = 0, arg = 0, ret = 0;

	bpf_get_func_arg(ctx, 1, &cmd);
	if ((__u32)cmd != VFIO_DEVICE_FEATURE && (__u32)cmd != VFIO_DEVICE_RESET)
		return 0;
	bpf_get_func_arg(ctx, 0, &file);
	bpf_get_func_arg(ctx, 2, &arg);
	bpf_get_func_ret(ctx, &ret);
	handle_exit(file, cmd, arg, ret);
	return 0;
}

/* A kprobe has no arguments at the exit: the entry keeps them for the thread. */
struct call {
	__u64 file;
	__u64 arg;
	__u32 cmd;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

SEC("?kprobe/vfio_device_fops_unl_ioctl")
int vfio_ioctl_entry_kprobe(struct pt_regs *ctx)
{
	struct call c = { .file = PT_REGS_PARM1(ctx), .arg = PT_REGS_PARM3(ctx),
			  .cmd = PT_REGS_PARM2(ctx) };
	__u64 thread = bpf_get_current_pid_tgid();

	if (c.cmd != VFIO_DEVICE_FEATURE && c.cmd != VFIO_DEVICE_RESET)
		return 0;
	bpf_map_update_elem(&calls, &thread, &c, BPF_ANY);
	if (c.cmd == VFIO_DEVICE_FEATURE)
		handle_entry(c.file, c.arg);
	return 0;
}

SEC("?kretprobe/vfio_device_fops_unl_ioctl")
int vfio_ioctl_exit_kprobe(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *c = bpf_map_lookup_elem(&calls, &thread);

	if (!c)
		return 0;
	handle_exit(c->file, c->cmd, c->arg, PT_REGS_RC(ctx));
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}
