// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may reach a terminal as it is: printable ASCII, and with TEXT_UTF8 also
 * the characters that the C library calls printable and that take at least one
 * cell. The rest becomes an escape in printable ASCII, so that a screen can be
 * neither driven (ESC, C1), broken (newlines, combining marks without end) nor
 * deceived (bidi overrides, zero-width characters) by a name. A backslash
 * doubles, so that no name can look like the escape of another one.
 *
 * wcwidth() answers for the current LC_CTYPE. In the C locale it knows no
 * character beyond ASCII, and all of those become escapes: safe, if ugly.
 */
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "text.h"

enum text_charset text__locale_charset(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") ? TEXT_ASCII : TEXT_UTF8;
}

unsigned int text__output_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	if (columns && atoi(columns) >= 40)
		return (unsigned int)atoi(columns);
	return 132;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t text__decode(const char *raw, size_t len, unsigned int *codepoint)
{
	static const unsigned int lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)raw;
	unsigned int cp;
	size_t i, n;

	if (s[0] < 0x80) {
		*codepoint = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;

	cp = s[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if (!is_continuation(s[i]))
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < lowest[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*codepoint = cp;
	return n;
}

/* Formatting characters; most have no width either, but not in every libc. */
static bool is_format(unsigned int cp)
{
	return cp == 0xad || cp == 0x61c || cp == 0xfeff ||
	       (cp >= 0x200b && cp <= 0x200f) ||	/* zero width, LRM, RLM */
	       (cp >= 0x2028 && cp <= 0x202e) ||	/* separators, bidi embeddings */
	       (cp >= 0x2060 && cp <= 0x206f) ||	/* bidi isolates and others */
	       (cp >= 0xfff9 && cp <= 0xfffb) ||
	       (cp >= 0xe0000 && cp <= 0xe0fff);
}

static bool is_harmless(unsigned int cp, enum text_charset cs)
{
	if (cp < 0x80)
		return cp >= 0x20 && cp < 0x7f && cp != '\\';
	return cs == TEXT_UTF8 && !is_format(cp) && wcwidth((wchar_t)cp) > 0;
}

/* Writes the escape of a character, or of a byte that is none, to @out. */
static size_t escape_one(char out[16], unsigned int cp, bool valid)
{
	switch (valid ? cp : 0) {
	case '\\':
		return (size_t)snprintf(out, 16, "\\\\");
	case '\n':
		return (size_t)snprintf(out, 16, "\\n");
	case '\r':
		return (size_t)snprintf(out, 16, "\\r");
	case '\t':
		return (size_t)snprintf(out, 16, "\\t");
	}
	if (!valid || cp < 0x80)
		return (size_t)snprintf(out, 16, "\\x%02x", cp);
	if (cp <= 0xffff)
		return (size_t)snprintf(out, 16, "\\u%04x", cp);
	return (size_t)snprintf(out, 16, "\\U%08x", cp);
}

size_t text__escape(char *buf, size_t size, const char *raw, size_t raw_size,
		    enum text_charset cs)
{
	size_t len = strnlen(raw, raw_size), in = 0, out = 0;

	if (!size)
		return 0;
	while (in < len) {
		char piece[16];
		unsigned int cp = 0;
		size_t n = text__decode(raw + in, len - in, &cp), piece_len;

		if (n && is_harmless(cp, cs)) {
			memcpy(piece, raw + in, n);
			piece_len = n;
		} else {
			if (!n)
				cp = (unsigned char)raw[in];
			piece_len = escape_one(piece, cp, n);
		}
		if (out + piece_len >= size)
			break;
		memcpy(buf + out, piece, piece_len);
		out += piece_len;
		in += n ? n : 1;
	}
	buf[out] = '\0';
	return out;
}

/* Length in bytes and width in cells of the first character of @text. */
static size_t next_cell(const char *text, enum text_charset cs, size_t *cells)
{
	unsigned int cp;
	size_t n;
	int w;

	*cells = 1;
	if (cs == TEXT_ASCII || (unsigned char)*text < 0x80)
		return 1;
	n = text__decode(text, strlen(text), &cp);
	if (!n)
		return 1;
	w = wcwidth((wchar_t)cp);
	if (w >= 0)
		*cells = (size_t)w;
	return n;
}

size_t text__width(const char *text, enum text_charset cs)
{
	size_t width = 0, cells;

	while (*text) {
		text += next_cell(text, cs, &cells);
		width += cells;
	}
	return width;
}

/* Bytes of @text that fit into @width cells; *@cells: how many they take. */
static size_t prefix_for(const char *text, size_t width, enum text_charset cs, size_t *cells)
{
	size_t bytes = 0, c, n;

	*cells = 0;
	while (text[bytes]) {
		n = next_cell(text + bytes, cs, &c);
		if (*cells + c > width)
			break;
		*cells += c;
		bytes += n;
	}
	return bytes;
}

char *text__fit(char *buf, size_t size, const char *text, size_t width, bool right,
		enum text_charset cs)
{
	const char *mark = "";
	size_t bytes, cells, pad;

	bytes = prefix_for(text, width, cs, &cells);
	if (text[bytes] && width) {
		mark = cs == TEXT_UTF8 ? "…" : "~";
		bytes = prefix_for(text, width - 1, cs, &cells);
		cells++;
	}
	pad = width - cells;
	snprintf(buf, size, "%*s%.*s%s%*s", right ? (int)pad : 0, "", (int)bytes, text, mark,
		 right ? 0 : (int)pad, "");
	return buf;
}
