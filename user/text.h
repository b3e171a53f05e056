/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strings of the kernel and of processes, made harmless, and their width.
 *
 * Device names, comms and VM names are bytes that anybody may have chosen.
 * Before one reaches a terminal or a text file it goes through text__escape().
 * The units of numbers are in units.h, which comes with this header.
 */
#ifndef IOVAB_TEXT_H
#define IOVAB_TEXT_H

#include <stddef.h>

#include "units.h"	/* enum text_charset, units__*() */

/* Enough for any IOVAB string (up to IOVAB_VM_LEN bytes), escaped. */
#define TEXT_ESCAPED_LEN	(6 * IOVAB_VM_LEN + 1)

/* The charset of the current LC_CTYPE (after setlocale(LC_ALL, "")). */
enum text_charset text__locale_charset(void);

/*
 * Writes @raw (up to its NUL or @raw_size bytes, whichever comes first: a field
 * of fixed width need not be terminated) to @buf, harmless: control characters,
 * bytes that are not UTF-8, characters without a width of their own (bidi
 * overrides, zero-width and combining ones) and, with TEXT_ASCII, all that is
 * not ASCII become \n, \t, \xHH, \uHHHH or \UHHHHHHHH; a backslash doubles.
 * An escape or a character is never cut in half: if @size is too small the
 * text ends before it. Returns the bytes written, without the NUL.
 */
size_t text__escape(char *buf, size_t size, const char *raw, size_t raw_size,
		    enum text_charset cs);

/* As above, for a char array of the records. */
#define text__escape_field(buf, size, field, cs) \
	text__escape((buf), (size), (field), sizeof(field), (cs))

/* Cells of a line on stdout: the terminal's, else $COLUMNS, else 132. */
unsigned int text__output_width(void);

/* Cells that @text (escaped before) takes on a terminal. */
size_t text__width(const char *text, enum text_charset cs);

/*
 * Copies @text (escaped before) cut or padded to exactly @width cells: on the
 * left (right-aligned) if @right. A cut text ends in "…" or, with TEXT_ASCII,
 * "~". Returns @buf; 4 * @width + 1 bytes are always enough.
 */
char *text__fit(char *buf, size_t size, const char *text, size_t width, bool right,
		enum text_charset cs);

/*
 * Decodes one UTF-8 character of @raw (@len bytes, at least 1). Returns its
 * length, or 0 if the first byte does not begin a valid one (surrogates,
 * overlong forms and values above 0x10ffff are not valid).
 */
size_t text__decode(const char *raw, size_t len, unsigned int *codepoint);

#endif /* IOVAB_TEXT_H */
