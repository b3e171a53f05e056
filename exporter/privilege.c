// SPDX-License-Identifier: GPL-2.0-only
#include "privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

int privilege__drop(struct iovab_error *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot give up privileges: %s",
				  strerror(errno));
	capng_get_caps_process();
	/* the bounding set can be lowered only by who may; with no_new_privs it gives nothing */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		if (capng_apply(CAPNG_SELECT_BOUNDS))
			return error__set(e, IOVAB_EXIT_FAILURE,
					  "cannot lower the capability bounding set");
	}
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	if (capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT))
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot give up capabilities");
	return 0;
}
