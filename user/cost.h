/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs cost: how often they ran, and what that took.
 *
 * All but the one on set time themselves (bpf/cost.h): two reads of the clock a run,
 * and they run a few times a report and a pin. The one on set runs at each mark, and
 * reading the clock twice would double what it takes. It is not even counted: its
 * reports are, in what each of them holds of its marks. What a mark takes the kernel
 * is asked for. That makes it time every BPF program on the machine, so it is asked
 * from one sample to the next that has marks, COST_EVERY_NS apart.
 *
 * Marks that were made before their price is known are counted and wait for it. To ask
 * takes CAP_SYS_ADMIN; where that was given up the price stays unknown, and the time
 * in which there were marks is left out. (So it is if the tier is dropped before there
 * was an answer.)
 */
#ifndef IOVAB_COST_H
#define IOVAB_COST_H

#include "budget.h"
#include "facts.h"
#include "session.h"

struct cost;

/* The session must outlive it. NULL with errno set. */
struct cost *cost__new(struct session *s);
void cost__free(struct cost *c);

/*
 * Reads what was counted up to now. To be called a few times a second while there is
 * a budget, and at least as often as the facts are wanted. The session is attached.
 */
void cost__sample(struct cost *c, __u64 now_ns);

/* The kernel is being asked: the next sample is not to wait for the end of an interval. */
bool cost__asks(const struct cost *c);

/* What is known as of the last sample; to be asked for once an interval. */
void cost__facts(struct cost *c, struct iovab_cost_fact *f);

/*
 * The same for a budget, which cannot wait: a mark whose price is not known is taken
 * for COST_MARK_NS.
 */
void cost__budget_sample(const struct cost *c, struct budget_sample *s);

/* About 150 instructions, at three a nanosecond. */
#define COST_MARK_NS	50

#endif /* IOVAB_COST_H */
