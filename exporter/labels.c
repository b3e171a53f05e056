// SPDX-License-Identifier: GPL-2.0-only
#include "labels.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

/* The most that a byte of a name becomes: U+FFFD. */
#define GROWTH	3

/* All devices of a HWPT that are named, and how many more there are. */
#define DEVICES_LEN	(IOVAB_HWPT_DEVICES * IOVAB_DEVICE_LEN + 16)

_Static_assert(LABELS_LEN > GROWTH * (DEVICES_LEN + IOVAB_DRIVER_LEN + IOVAB_VM_LEN +
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

/* The device, or those of a HWPT. */
static size_t append_devices(char *buf, size_t len, const struct iovab_row *row)
{
	char names[DEVICES_LEN] = "";
	size_t n = 0;
	__u32 i;

	if (row->device[0] || row->n_devices < 2)
		return labels__append(buf, len, "device", row->device, sizeof(row->device));
	for (i = 0; i < row->n_devices && i < IOVAB_HWPT_DEVICES; i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%.*s", i ? "," : "",
				      IOVAB_DEVICE_LEN - 1, row->devices[i]);
	if (i < row->n_devices)
		snprintf(names + n, sizeof(names) - n, ",+%u", row->n_devices - i);
	return labels__append(buf, len, "device", names, sizeof(names));
}

size_t labels__of_row(char buf[LABELS_LEN], const struct iovab_row *row)
{
	const char *client = model__client_name(row->client);
	size_t len = 0;

	buf[0] = '\0';
	if (client)
		len = labels__append(buf, len, "client", client, strlen(client));
	len = append_devices(buf, len, row);
	len = labels__append(buf, len, "driver", row->driver, sizeof(row->driver));
	return labels__append(buf, len, "vm", row->vm, sizeof(row->vm));
}
