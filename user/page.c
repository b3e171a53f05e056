// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page is put together from parts that the build embeds (page/page.css,
 * page/page.js, the chart library) and the data as JSON.
 *
 * The data is hostile: a device or a VM may be called anything. In the file all
 * that could end or begin markup is written as \uXXXX, which is the same to
 * JSON. And should some of it become markup all the same, the page's own policy
 * lets no script run but those with this file's number, and nothing be fetched.
 */
#include "page.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "study_json.h"

/* The parts, as the assembler takes them in; user/user.mk says where they come from. */
#define PART(name, file)						\
	__asm__(".pushsection .rodata\n"				\
		".global part_" #name ", part_" #name "_end\n"		\
		"part_" #name ":\n.incbin \"" file "\"\n"		\
		"part_" #name "_end:\n.byte 0\n.popsection\n");		\
	extern const char part_##name[], part_##name##_end[]

PART(css, IOVAB_PAGE "/page.css");
PART(js, IOVAB_PAGE "/page.js");
PART(charts, IOVAB_PAGE "/charts.js");

bool page__available(void)
{
	return &part_charts_end[0] > &part_charts[0];
}

#define put_part(out, name) \
	fwrite(part_##name, 1, (size_t)(part_##name##_end - part_##name), out)

/* Text of JSON, of which nothing can be taken for markup. */
static void put_data(FILE *out, const char *json)
{
	for (; *json; json++) {
		if (strchr("<>&", *json))
			fprintf(out, "\\u%04x", *json);
		else
			fputc(*json, out);
	}
}

/* A number that a script must name to be run; nobody who wrote the data knows it. */
static int make_nonce(char nonce[33])
{
	unsigned char bytes[16];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -errno;
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static void put_page(FILE *out, const char *json, const char *nonce)
{
	fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"script-src 'nonce-%s'; style-src 'unsafe-inline'; img-src data:; "
		"base-uri 'none'; form-action 'none'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<title>iovab report</title>\n<style>\n", nonce);
	put_part(out, css);
	fprintf(out, "</style>\n</head>\n<body>\n<main id=\"app\">This page needs scripts: they are in this "
		"file, and fetch nothing.</main>\n<script type=\"application/json\" id=\"data\">");
	put_data(out, json);
	fprintf(out, "</script>\n<script nonce=\"%s\">\n", nonce);
	put_part(out, charts);
	fprintf(out, "\n</script>\n<script nonce=\"%s\">\n", nonce);
	put_part(out, js);
	fprintf(out, "</script>\n</body>\n</html>\n");
}

int page__write(FILE *out, const struct study *s)
{
	json_t *o = study_json__object(s, true);
	char *json = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9)) : NULL;
	char nonce[33];
	int err = json ? make_nonce(nonce) : -ENOMEM;

	if (!err)
		put_page(out, json, nonce);
	if (!err && ferror(out))
		err = -EIO;
	free(json);
	json_decref(o);
	return err;
}
