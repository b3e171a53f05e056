// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer's target: all that is parsed by hand. The first byte says what. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "labels.h"
#include "listen.h"
#include "web_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_web_config(const char *text, size_t len)
{
	struct web_config c = {};
	struct iovab_error e = {};

	if (web_config__parse(&c, "dir/web.yml", text, len, &e) && (!e.code || !e.text[0]))
		abort();
	web_config__free(&c);
}

/* Whatever a name is, its label has no end of its own. */
static void fuzz_labels(const char *text)
{
	char labels[LABELS_LEN];
	size_t len, i;

	labels[0] = '\0';
	len = labels__append(labels, 0, "l", text, IOVAB_VM_LEN);
	if (len != strlen(labels) || strchr(labels, '\n'))
		abort();
	for (i = 3; i + 1 < len; i++) {
		if (labels[i] == '"')
			abort();
		if (labels[i] == '\\')
			i++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct listen_address a;
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_web_config((const char *)data + 1, size - 1);
		break;
	case 1:
		accept__format(text);
		break;
	case 2:
		listen__parse(&a, text);
		break;
	case 3:
		fuzz_labels(text);
		break;
	}
	free(text);
	return 0;
}
