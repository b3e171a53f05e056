// SPDX-License-Identifier: GPL-2.0-only
/*
 * iovab-exporter: what the kernel's DMA dirty tracking does, for Prometheus.
 *
 * It begins with the right to attach BPF programs. Once all of them are attached, or
 * once it is clear that they never will be, it gives that up for good.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "collector.h"
#include "listen.h"
#include "log.h"
#include "measure.h"
#include "options.h"
#include "privilege.h"
#include "serve.h"
#include "session.h"
#include "watch.h"
#include "web.h"

struct options {
	struct measure measure;		/* first: measure.h wants it so */
	bool help, version;
	const char *addresses[LISTEN_MAX];
	size_t n_addresses;
	bool systemd_socket;
	const char *telemetry_path, *config_file;
};

struct exporter {
	struct options opts;
	struct serve *serve;
	struct session *session;	/* NULL: this kernel has nothing to attach to */
	struct collector *collector;
	struct iovab_error refusal;	/* then this says why */
	bool told_waiting, told_attached, told_warning;
	enum iovab_tier told_tier;	/* in force, as was said last */
	bool dropped;			/* it has no capability any more */
	struct watch watch;
	struct web *web;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(help) { OPTS->help = true; return 0; }
SETTER(version) { OPTS->version = true; return 0; }
SETTER(config) { OPTS->config_file = value; return 0; }
SETTER(systemd) { OPTS->systemd_socket = true; return 0; }

SETTER(address)
{
	struct listen_address a;

	if (!listen__parse(&a, value))
		return options__refuse_value("web.listen-address",
					     "HOST:PORT, :PORT or [IPV6]:PORT", value, e);
	if (OPTS->n_addresses == LISTEN_MAX)
		return options__refuse_value("web.listen-address", "at most 16 addresses", value, e);
	OPTS->addresses[OPTS->n_addresses++] = value;
	return 0;
}

/* What is safe in a link, and not the path of another page. */
SETTER(path)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._~-";

	if (value[0] != '/' || !value[1] || strlen(value) > 200 || value[strspn(value, safe)] ||
	    !strncmp(value, "/-/", 3))
		return options__refuse_value("web.telemetry-path",
					     "a path like /metrics, of letters, digits and /._~-",
					     value, e);
	OPTS->telemetry_path = value;
	return 0;
}

static const struct option_spec specs[] = {
	{ "web.listen-address", 0, "ADDRESS", "HOST:PORT, :PORT or [IPV6]:PORT (127.0.0.1:10046); may be repeated", set_address },
	{ "web.telemetry-path", 0, "PATH", "where the metrics are (/metrics)", set_path },
	{ "web.config.file", 0, "FILE", "TLS, client certificates and passwords, as Prometheus's exporters have it", set_config },
	{ "web.systemd-socket", 0, NULL, "listen on the sockets of systemd's socket unit", set_systemd },
	MEASURE_TIER,
	MEASURE_BUDGET("1"),
	MEASURE_MAX_ROWS,
	MEASURE_VERBOSE(""),
	{ "help", 'h', NULL, "print this and end", set_help },
	{ "version", 'V', NULL, "print the version and end", set_version },
	{}
};

static void print_help(void)
{
	printf("Usage: iovab-exporter [OPTION]...\n"
	       "Serves Prometheus what DMA dirty tracking does while virtual machines migrate.\n\n");
	options__print(specs, stdout);
	printf("\nExit codes: 0 fine, 1 failure, 2 wrong option or configuration, 3 not permitted.\n"
	       "Where the kernel has nothing to watch it serves iovab_up 0. More in iovab-exporter(8).\n");
}

/* --- the kernel's side --- */

/* There is nothing to attach to, and will not be: what is needed for it can go. */
static int give_up(struct exporter *x, const struct iovab_error *why, struct iovab_error *e)
{
	x->refusal = *why;
	collector__free(x->collector);
	session__free(x->session);
	x->collector = NULL;
	x->session = NULL;
	x->dropped = true;
	return privilege__drop(e);
}

/*
 * The facility can be there before its client vfio, whose programs are attached
 * when its module comes; that takes the same capabilities.
 */
static int drop_if_complete(struct exporter *x, struct iovab_error *e)
{
	if (!x->told_attached && x->opts.measure.verbose)
		log__line("attached, tier %s", model__tier_name(x->opts.measure.tier));
	x->told_attached = true;
	if (!x->told_warning && session__warning(x->session)) {
		log__line("%s", session__warning(x->session));
		x->told_warning = true;
	}
	if (x->dropped)
		return 0;
	if (!session__complete(x->session)) {
		if (!x->told_waiting)
			log__line("the module vfio is not loaded; its devices will be known when it is");
		x->told_waiting = true;
		return 0;
	}
	if (privilege__drop(e))
		return -1;
	x->dropped = true;
	if (x->opts.measure.verbose)
		log__line("capabilities given up");
	return 0;
}

/* Attaches if it is time. What the kernel refuses ends up in x->refusal; -1: we cannot go on. */
static int attach(struct exporter *x, struct iovab_error *e)
{
	struct iovab_error why = {};
	int ret;

	if (!x->session)
		return 0;
	if (session__attached(x->session)) {
		/* otherwise the collector would, and there would be no capability to wait for */
		session__refresh(x->session);
		return drop_if_complete(x, e);
	}
	ret = session__attach(x->session, &why);
	if (ret < 0)
		return give_up(x, &why, e);
	if (ret > 0) {
		if (!x->told_waiting)
			log__line("the module vfio is not loaded; waiting, will attach by itself");
		x->told_waiting = true;
		return 0;
	}
	return drop_if_complete(x, e);
}

/* A tier that was dropped to keep to the budget, and that it is back. */
static void tell_tier(struct exporter *x, const struct iovab_facts *f)
{
	enum iovab_tier before = x->told_tier ? x->told_tier : f->tier;

	if (f->budget.tier < before)
		log__line("over the budget of %g %% of a CPU: measures at tier %s until the load has passed",
			  (double)f->budget.limit_ppm / 1e4, model__tier_name(f->budget.tier));
	else if (f->budget.tier > before)
		log__line("measures at tier %s again", model__tier_name(f->budget.tier));
	x->told_tier = f->budget.tier;
}

static const struct iovab_facts *collect(void *ctx, struct iovab_error *e)
{
	struct exporter *x = ctx;

	const struct iovab_facts *facts;

	if (attach(x, e))
		return NULL;
	if (!x->session) {
		*e = x->refusal;
		return NULL;
	}
	facts = collector__collect(x->collector, e);
	if (facts)
		tell_tier(x, facts);
	return facts;
}

/*
 * What is wrong with the way it was started is a reason to end, so that whoever
 * did it sees it. What this kernel lacks is not: on a fleet that is a fact about
 * a host, which iovab_up tells.
 */
static int open_session(struct exporter *x, struct iovab_error *e)
{
	struct session_options so = measure__session(&x->opts.measure, true);
	struct iovab_error why = {};

	x->session = session__new(&so, &why);
	if (!x->session) {
		if (why.code != IOVAB_EXIT_NO_FACILITY && why.code != IOVAB_EXIT_NO_BPF) {
			*e = why;
			return -1;
		}
		return give_up(x, &why, e);
	}
	x->collector = collector__new(x->session);
	if (!x->collector)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	if (attach(x, e))
		return -1;
	if (!x->session && x->refusal.code == IOVAB_EXIT_PRIVILEGE) {
		*e = x->refusal;
		return -1;
	}
	return 0;
}

/* --- from the beginning to the end --- */

static int open_all(struct exporter *x, struct iovab_error *e)
{
	struct web_options wo = {
		.addresses = x->opts.addresses,
		.n_addresses = x->opts.n_addresses,
		.systemd_socket = x->opts.systemd_socket,
		.telemetry_path = x->opts.telemetry_path,
		.config_file = x->opts.config_file,
		.watch = &x->watch,
	};
	struct watch_source source = { collect, x };

	x->serve = serve__new(e);
	if (!x->serve || watch__init(&x->watch, source, e))
		return -1;
	x->web = web__new(&wo, e);
	if (!x->web || open_session(x, e))
		return -1;
	watch__look(&x->watch);
	sd_notify(0, "READY=1");
	return 0;
}

static void close_all(struct exporter *x)
{
	web__free(x->web);
	watch__free(&x->watch);
	collector__free(x->collector);
	session__free(x->session);
	serve__free(x->serve);
}

static int check_options(struct options *o, struct iovab_error *e)
{
	if (o->systemd_socket && o->n_addresses)
		return error__set(e, IOVAB_EXIT_USAGE,
				  "--web.systemd-socket and --web.listen-address exclude each other");
	if (!o->n_addresses)
		o->addresses[o->n_addresses++] = LISTEN_DEFAULT;
	return 0;
}

int main(int argc, char **argv)
{
	struct exporter x = {
		.opts = { .measure = MEASURE_DEFAULT, .telemetry_path = "/metrics" },
	};
	struct iovab_error e = {};

	setlocale(LC_CTYPE, "");
	if (options__parse(specs, &x.opts, argc, argv, &e))
		goto out;
	if (x.opts.help || x.opts.version) {
		if (x.opts.help)
			print_help();
		else
			printf("iovab-exporter " IOVAB_VERSION "\n");
		return IOVAB_EXIT_OK;
	}
	if (!check_options(&x.opts, &e) && !open_all(&x, &e))
		serve__run(x.serve, &x.watch, x.web, &e);
	close_all(&x);
out:
	if (e.code)
		log__line("%s", e.text);
	return e.code;
}
