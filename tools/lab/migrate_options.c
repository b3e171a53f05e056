// SPDX-License-Identifier: GPL-2.0-only
/* The command line. */
#include "migrate.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	OPT_DEVICE = 256, OPT_IOVA, OPT_LENGTH, OPT_RANGE, OPT_SECTION, OPT_PAGE_SIZE,
	OPT_ROUNDS, OPT_STEP, OPT_INTERVAL, OPT_OFFSET, OPT_PRESET, OPT_FOREVER,
	OPT_JSON, OPT_IOMMUFD, OPT_COMM, OPT_NAME, OPT_HELP, OPT_ENGINE,
};

/* The options from OPT_ENGINE on are written to these files as they are. */
static const char * const engine_files[] = {
	"pattern", "order", "merge", "rate", "seed", "page_size",
	"fault_redundant", "fault_overshoot", "fault_cross", "fault_delay_ms",
};

static const struct option long_options[] = {
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "iova", required_argument, NULL, OPT_IOVA },
	{ "length", required_argument, NULL, OPT_LENGTH },
	{ "range", required_argument, NULL, OPT_RANGE },
	{ "section", required_argument, NULL, OPT_SECTION },
	{ "page-size", required_argument, NULL, OPT_PAGE_SIZE },
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "step", required_argument, NULL, OPT_STEP },
	{ "interval-ms", required_argument, NULL, OPT_INTERVAL },
	{ "bitmap-offset", required_argument, NULL, OPT_OFFSET },
	{ "preset", required_argument, NULL, OPT_PRESET },
	{ "forever", no_argument, NULL, OPT_FOREVER },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "iommufd", no_argument, NULL, OPT_IOMMUFD },
	{ "comm", required_argument, NULL, OPT_COMM },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "pattern", required_argument, NULL, OPT_ENGINE },
	{ "order", required_argument, NULL, OPT_ENGINE + 1 },
	{ "merge", required_argument, NULL, OPT_ENGINE + 2 },
	{ "rate", required_argument, NULL, OPT_ENGINE + 3 },
	{ "seed", required_argument, NULL, OPT_ENGINE + 4 },
	{ "tracked", required_argument, NULL, OPT_ENGINE + 5 },
	{ "fault-redundant", required_argument, NULL, OPT_ENGINE + 6 },
	{ "fault-overshoot", required_argument, NULL, OPT_ENGINE + 7 },
	{ "fault-cross", required_argument, NULL, OPT_ENGINE + 8 },
	{ "fault-delay-ms", required_argument, NULL, OPT_ENGINE + 9 },
	{ NULL }
};

static const char usage_text[] =
"usage: migrate --device NAME [--device NAME]... [OPTION]...\n"
"       migrate --each\n"
"Migrates nothing, but asks VFIO devices for their dirty pages as QEMU does:\n"
"LOGGING_START, rounds of reports, a last round with the device stopped, STOP.\n"
"Each report has a fresh zeroed bitmap; the bits that come back are counted and\n"
"held against the device's own account, where it has one (iovab-mock).\n"
"With --each a line of standard input is the arguments of a run, each a process.\n"
"\n"
"  --device NAME         as in /sys/bus/*/devices, e.g. iovab-mock.0\n"
"  --iova N              where the tracked range begins (0)\n"
"  --length N            its length (1G)\n"
"  --range IOVA:LEN      a range to track, instead of the two; repeatable\n"
"  --section IOVA:LEN    what one report of a round covers; repeatable (each range)\n"
"  --page-size N         page size to ask for and to report in (what START returns)\n"
"  --rounds N            precopy rounds before the last one (3)\n"
"  --step N              page writes before each precopy round (0)\n"
"  --interval-ms N       pause before each precopy round (0)\n"
"  --forever             rounds until SIGINT or SIGTERM, then the last one\n"
"  --bitmap-offset N     where in a memory page the bitmaps begin (0)\n"
"  --preset N            set every Nth bit before each report (0: none)\n"
"  --json                one JSON object a device; its rounds count the last one too\n"
"  --iommufd             through iommufd and /dev/vfio/devices, not container and group\n"
"  --comm NAME           the process's name\n"
"  -name ARG             accepted and ignored, as QEMU's\n"
"The mock device's engine, left as it is where not given:\n"
"  --pattern sequential|random|hotspot|sparse|dense|all\n"
"  --order ascending|descending|shuffled    --merge 0|1\n"
"  --tracked N           tracked page size          --seed N\n"
"  --rate N              pages a second dirtied by itself\n"
"  --fault-redundant N   --fault-overshoot N   --fault-cross N   --fault-delay-ms N\n"
"\n"
"Numbers take K, M, G or T (powers of 1024), or 0x. SIGINT ends a run properly.\n"
"Exit status: 0 done; 1 wrong usage; 2 a device cannot be opened or set;\n"
"3 the kernel refused a logging call; 4 bits and account disagree.\n";

static int parse_number(const char *text, uint64_t *value)
{
	static const char suffixes[] = "KMGT";
	unsigned long long number;
	const char *suffix;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)text[0]) || errno)
		return -EINVAL;
	if (*end) {
		suffix = strchr(suffixes, toupper((unsigned char)*end));
		if (!suffix || end[1] ||
		    __builtin_mul_overflow(number, 1ULL << 10 * (suffix - suffixes + 1), &number))
			return -EINVAL;
	}
	*value = number;
	return 0;
}

/* IOVA:LEN */
static int parse_range(const char *text, struct iova_range *range)
{
	char copy[64];
	char *colon;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	colon = strchr(copy, ':');
	if (!colon)
		return -EINVAL;
	*colon = 0;
	return parse_number(copy, &range->iova) ?: parse_number(colon + 1, &range->length);
}

static int add_device(struct migrate_options *options, const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
	unsigned int i;

	if (options->device_count == MIGRATE_MAX_DEVICES)
		return migrate_error(E2BIG, "--device: at most %d", MIGRATE_MAX_DEVICES);
	/* it becomes part of a glob pattern and of a path */
	if (!*name || strlen(name) > 64 || name[0] == '.' || name[strspn(name, good)])
		return migrate_error(EINVAL, "--device: not a device's name: give one as in /sys/bus/*/devices");
	for (i = 0; i < options->device_count; i++)
		if (!strcmp(options->devices[i], name))
			return migrate_error(EINVAL, "--device %s: given twice", name);
	options->devices[options->device_count++] = name;
	return 0;
}

static int add_range(const char *option, struct iova_range *list, unsigned int *count,
		     unsigned int max, const char *text)
{
	if (*count == max)
		return migrate_error(E2BIG, "--%s: at most %u", option, max);
	if (parse_range(text, &list[*count]))
		return migrate_error(EINVAL, "--%s: give IOVA:LENGTH, e.g. 4G:512M", option);
	++*count;
	return 0;
}

static int add_setting(struct migrate_options *options, const char *option, const char *file,
		       const char *value)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	struct engine_setting *setting = &options->settings[options->setting_count];
	uint64_t number;

	if (options->setting_count == MIGRATE_MAX_SETTINGS)
		return migrate_error(E2BIG, "--%s: too many engine options", option);
	setting->file = file;
	setting->value = value;
	if (!parse_number(value, &number)) {
		char *text;

		if (asprintf(&text, "%" PRIu64, number) < 0)
			return migrate_error(ENOMEM, "--%s", option);
		setting->value = text;	/* lives as long as the program */
	} else if (!*value || value[strspn(value, good)]) {
		return migrate_error(EINVAL, "--%s: bad value; see --help", option);
	}
	options->setting_count++;
	return 0;
}

static int set_number(const char *option, const char *text, uint64_t *value)
{
	if (parse_number(text, value))
		return migrate_error(EINVAL, "--%s: not a number: give digits and at most one of K, M, G, T",
				     option);
	return 0;
}

/* Where a plain number goes, or NULL. */
static uint64_t *number_of(struct migrate_options *options, struct iova_range *single, int opt)
{
	switch (opt) {
	case OPT_IOVA:		return &single->iova;
	case OPT_LENGTH:	return &single->length;
	case OPT_PAGE_SIZE:	return &options->page_bytes;
	case OPT_ROUNDS:	return &options->rounds;
	case OPT_STEP:		return &options->step;
	case OPT_INTERVAL:	return &options->interval_ms;
	case OPT_OFFSET:	return &options->bitmap_offset;
	case OPT_PRESET:	return &options->preset;
	default:		return NULL;
	}
}

static int parse_one(struct migrate_options *options, struct iova_range *single, int opt,
		     const char *option, const char *value)
{
	uint64_t *number = number_of(options, single, opt);

	if (number)
		return set_number(option, value, number);
	if (opt >= OPT_ENGINE)
		return add_setting(options, option, engine_files[opt - OPT_ENGINE], value);
	switch (opt) {
	case OPT_DEVICE:
		return add_device(options, value);
	case OPT_RANGE:
		return add_range(option, options->ranges, &options->range_count,
				 MIGRATE_MAX_RANGES, value);
	case OPT_SECTION:
		return add_range(option, options->sections, &options->section_count,
				 MIGRATE_MAX_SECTIONS, value);
	case OPT_FOREVER:
		options->forever = true;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	case OPT_IOMMUFD:
		options->iommufd = true;
		return 0;
	case OPT_COMM:
		options->comm = value;
		return 0;
	case OPT_NAME:
		return 0;
	case OPT_HELP:
		fputs(usage_text, stdout);
		exit(MIGRATE_OK);
	default:
		return migrate_error(EINVAL, "argument %d is no option, is ambiguous or lacks its value; see --help",
				     optind - 1);
	}
}

static int check_range(const char *option, const struct iova_range *range)
{
	uint64_t end;

	if (!range->length)
		return migrate_error(EINVAL, "--%s: the length is 0", option);
	if (__builtin_add_overflow(range->iova, range->length, &end))
		return migrate_error(EINVAL, "--%s: ends behind 2^64", option);
	return 0;
}

static int check(struct migrate_options *options)
{
	unsigned int i;
	int err = 0;

	if (!options->device_count)
		return migrate_error(EINVAL, "no device given: use --device NAME, e.g. --device iovab-mock.0");
	if (options->page_bytes && (options->page_bytes < 4096 ||
				    options->page_bytes & (options->page_bytes - 1)))
		return migrate_error(EINVAL, "--page-size: must be a power of two of at least 4096");
	if (options->bitmap_offset >= (uint64_t)sysconf(_SC_PAGESIZE))
		return migrate_error(EINVAL, "--bitmap-offset: must be below the size of a memory page");
	if (options->interval_ms > 3600000)
		return migrate_error(EINVAL, "--interval-ms: at most 3600000, an hour");
	for (i = 0; i < options->range_count && !err; i++)
		err = check_range("range", &options->ranges[i]);
	for (i = 0; i < options->section_count && !err; i++)
		err = check_range("section", &options->sections[i]);
	return err;
}

/* Without sections each range is one. */
static void default_sections(struct migrate_options *options)
{
	unsigned int i;

	if (options->section_count)
		return;
	for (i = 0; i < options->range_count; i++)
		options->sections[i] = options->ranges[i];
	options->section_count = options->range_count;
}

/* Strings of @options point into @argv. -errno: usage, said. */
int migrate_options__parse(struct migrate_options *options, int argc, char **argv)
{
	struct iova_range single = { 0, 1ULL << 30 };
	int opt, index, err;

	opterr = 0;
	options->rounds = 3;
	for (;;) {
		index = 0;
		/* one dash is enough, as for QEMU */
		opt = getopt_long_only(argc, argv, "", long_options, &index);
		if (opt == -1)
			break;
		err = parse_one(options, &single, opt, long_options[index].name, optarg);
		if (err)
			return err;
	}
	if (optind < argc)
		return migrate_error(EINVAL, "argument %d is no option; see --help", optind);
	if (!options->range_count)
		options->ranges[options->range_count++] = single;
	default_sections(options);
	return check(options);
}
