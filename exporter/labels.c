// SPDX-License-Identifier: GPL-2.0-only
#include "labels.h"

#include <string.h>

#include "text.h"

/* The most that a byte of a name becomes: U+FFFD. */
#define GROWTH	3

_Static_assert(LABELS_LEN > GROWTH * (IOVAB_DEVICE_LEN + IOVAB_DRIVER_LEN + IOVAB_VM_LEN +
				      IOVAB_VFIO_LEN) + 256, "room for the worst names");

static size_t put_string(char *buf, size_t len, const char *s)
{
	size_t n = strlen(s);

	memcpy(buf + len, s, n);
	return len + n;
}

/* One character of @raw; the bytes of @raw that it took are in @taken. */
static size_t put_char(char *buf, size_t len, const char *raw, size_t left, size_t *taken)
{
	unsigned int codepoint;

	*taken = 1;
	switch (*raw) {
	case '\\':
		return put_string(buf, len, "\\\\");
	case '"':
		return put_string(buf, len, "\\\"");
	case '\n':
		return put_string(buf, len, "\\n");
	}
	*taken = text__decode(raw, left, &codepoint);
	if (!*taken) {
		*taken = 1;
		return put_string(buf, len, "\xef\xbf\xbd");
	}
	memcpy(buf + len, raw, *taken);
	return len + *taken;
}

size_t labels__append(char buf[LABELS_LEN], size_t len, const char *name, const char *raw,
		      size_t raw_size)
{
	size_t raw_len = strnlen(raw, raw_size), i, taken;

	if (!raw_len || len + GROWTH * raw_len + strlen(name) + 5 > LABELS_LEN)
		return len;
	if (len)
		buf[len++] = ',';
	len = put_string(buf, len, name);
	len = put_string(buf, len, "=\"");
	for (i = 0; i < raw_len; i += taken)
		len = put_char(buf, len, raw + i, raw_len - i, &taken);
	buf[len++] = '"';
	buf[len] = '\0';
	return len;
}

size_t labels__of_row(char buf[LABELS_LEN], const struct iovab_row *row)
{
	const char *client = model__client_name(row->client);
	size_t len = 0;

	buf[0] = '\0';
	if (client)
		len = labels__append(buf, len, "client", client, strlen(client));
	len = labels__append(buf, len, "device", row->device, sizeof(row->device));
	len = labels__append(buf, len, "driver", row->driver, sizeof(row->driver));
	return labels__append(buf, len, "vm", row->vm, sizeof(row->vm));
}
