/* SPDX-License-Identifier: GPL-2.0-only */
/* The subcommands of iovab, a file each: command_NAME.c. */
#ifndef IOVAB_COMMAND_H
#define IOVAB_COMMAND_H

#include "error.h"

/* argv[0] is the subcommand's name. 0, or -1 with @e set. */
int command__record(int argc, char **argv, struct iovab_error *e);
int command__replay(int argc, char **argv, struct iovab_error *e);
int command__report(int argc, char **argv, struct iovab_error *e);
int command__diff(int argc, char **argv, struct iovab_error *e);
int command__export(int argc, char **argv, struct iovab_error *e);

#endif /* IOVAB_COMMAND_H */
