/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines of text filled with short items, each kept whole. */
#ifndef IOVAB_FLOW_H
#define IOVAB_FLOW_H

#include <stdio.h>

#include "text.h"

/* Where the next item goes. Start with { .out, .width, .charset, .indent }. */
struct flow {
	FILE *out;
	size_t width;		/* cells a line; 0: no limit */
	enum text_charset charset;
	unsigned int indent;	/* spaces before a line that goes on */
	size_t used;		/* cells of the line at hand */
};

/* Adds an item (escaped before), two spaces behind the one before. */
void flow__item(struct flow *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds words (escaped before), a space between any two, breaking lines between them. */
void flow__words(struct flow *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the line, if anything is in it. */
void flow__end(struct flow *f);

#endif /* IOVAB_FLOW_H */
