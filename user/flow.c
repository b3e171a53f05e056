// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <string.h>

#include "flow.h"

#define ITEM_LEN	1536

static void put(struct flow *f, const char *text, unsigned int gap)
{
	size_t width = text__width(text, f->charset);

	if (f->used && f->width && f->used + gap + width > f->width) {
		fprintf(f->out, "\n%*s", (int)f->indent, "");
		f->used = f->indent;
		gap = 0;
	}
	if (!f->used)
		gap = 0;
	fprintf(f->out, "%*s%s", (int)gap, "", text);
	f->used += gap + width;
}

void flow__item(struct flow *f, const char *format, ...)
{
	char item[ITEM_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(item, sizeof(item), format, args);
	va_end(args);
	put(f, item, 2);
}

void flow__words(struct flow *f, const char *format, ...)
{
	char words[ITEM_LEN], *word, *rest = words;
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	while ((word = strsep(&rest, " ")))
		if (*word)
			put(f, word, 1);
}

void flow__end(struct flow *f)
{
	if (f->used)
		fputc('\n', f->out);
	f->used = 0;
}
