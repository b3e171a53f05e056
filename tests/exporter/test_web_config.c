// SPDX-License-Identifier: GPL-2.0-only
/* What is parsed from outside: the web configuration, addresses, Accept headers. */
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "fixture.h"
#include "listen.h"
#include "web_config.h"

#define HASH "$2y$10$abcdefghijklmnopqrstuuKfHhoM8BXhxHJmbBZzXfJ1yHjqV7e2G"

static int parse(struct web_config *c, const char *text, struct iovab_error *e)
{
	memset(c, 0, sizeof(*c));
	memset(e, 0, sizeof(*e));
	return web_config__parse(c, "dir/web.yml", text, strlen(text), e);
}

static void test_good(void **state)
{
	struct web_config c;
	struct iovab_error e;

	assert_int_equal(parse(&c, "", &e), 0);
	assert_int_equal(parse(&c, "# nothing\n", &e), 0);
	assert_int_equal(parse(&c, "tls_server_config:\nbasic_auth_users:\n", &e), 0);
	assert_false(c.tls);
	web_config__free(&c);
	assert_int_equal(parse(&c, "tls_server_config:\n"
			       "  cert_file: cert.pem\n"
			       "  key_file: \"/etc/key.pem\"\n"
			       "  client_auth_type: RequireAndVerifyClientCert\n"
			       "  client_ca_file: ca.pem\n"
			       "  min_version: TLS13\n"
			       "basic_auth_users:\n"
			       "  alice: " HASH "\n"
			       "  \"bob smith\": '" HASH "'\n"
			       "http_server_config:\n  http2: false\n", &e), 0);
	assert_true(c.tls);
	assert_string_equal(c.cert.path, "dir/cert.pem");
	assert_string_equal(c.key.path, "/etc/key.pem");
	assert_string_equal(c.client_ca.path, "dir/ca.pem");
	assert_int_equal(c.client_auth, WEB_CLIENT_VERIFY);
	assert_int_equal(c.min_version, 3);
	assert_int_equal(c.n_users, 2);
	assert_string_equal(c.users[1].name, "bob smith");
	assert_string_equal(c.users[0].hash, HASH);
	web_config__free(&c);
}

static void test_refused(void **state)
{
#define TLS "tls_server_config: { cert_file: c, key_file: k, "
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "tls_config: {}\n", "dir/web.yml:1: unknown: key 'tls_config'" },
		{ "\n\ntls_server_config:\n  cert_file: a\n  keyfile: b\n",
		  "dir/web.yml:5: tls_server_config: unknown: key 'keyfile'" },
		{ TLS "cipher_suites: [x] }", "is in the format, but not supported here: key 'cipher_suites'" },
		{ "http_server_config: { headers: { x: y } }", "not supported here: key 'headers'" },
		{ "http_server_config: { http2: true }", "only 'false' is supported here for 'http2'" },
		{ "tls_server_config: { cert_file: c }", "missing: 'key_file'" },
		{ "tls_server_config: { key_file: c }", "missing: 'cert_file'" },
		{ TLS "client_auth_type: VerifyClientCertIfGiven }", "client_ca_file" },
		{ TLS "client_ca_file: x }", "of no use" },
		{ TLS "client_auth_type: Maybe }", "client_auth_type: no such value: key 'Maybe'" },
		{ TLS "min_version: SSL3 }", "min_version: no such value" },
		{ TLS "min_version: TLS13, max_version: TLS12 }", "below min_version" },
		{ TLS "cert_file: d }", "given twice: key 'cert_file'" },
		{ "basic_auth_users: { a: secret }", "no bcrypt hash for 'a'" },
		{ "basic_auth_users: { a: $1$abcdefgh$0123456789012345678901 }", "no bcrypt hash for 'a'" },
		{ "basic_auth_users: { a: $2y$31$abcdefghijklmnopqrstuuKfHhoM8BXhxHJmbBZzXfJ1yHjqV7e2G }", "cost above 14" },
		{ "basic_auth_users: { a: " HASH ", a: " HASH " }", "given twice: 'a'" },
		{ "basic_auth_users: { 'a:b': " HASH " }", "cannot hold a colon" },
		{ "basic_auth_users: [a]", "names and hashes are wanted" },
		{ "basic_auth_users: { a: [" HASH "] }", "a text is wanted for 'a'" },
		{ "[1, 2]", "keys and values are wanted in 'the file'" },
		{ "{ [a]: b }", "unknown: key ''" },
		{ "just words", "keys and values are wanted" },
		{ "a: b: c", "this is no YAML" },
		{ "\tx", "this is no YAML" },
		{ "\"\\e[2J\": x", "unknown: key '\\x1b[2J'" },
		{ "tls_server_config: { cert_file: \"a\\0b\", key_file: k }", "a text is wanted for 'cert_file'" },
		{ "a: &a [*a]", "unknown: key 'a'" },
	};
	struct web_config c;
	struct iovab_error e;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!parse(&c, cases[i].text, &e))
			fail_msg("taken: %s", cases[i].text);
		if (!strstr(e.text, cases[i].line))
			fail_msg("%s: '%s' is not in: %s", cases[i].text, cases[i].line, e.text);
		assert_int_equal(e.code, IOVAB_EXIT_USAGE);
		web_config__free(&c);
	}
}

static void test_files(void **state)
{
	struct web_config c;
	struct iovab_error e;

	assert_int_equal(web_config__read(&c, "no/such/file", &e), -1);
	assert_non_null(strstr(e.text, "cannot read no/such/file: No such file"));
	assert_int_equal(web_config__read(&c, "/dev/zero", &e), -1);
	assert_non_null(strstr(e.text, "larger than 1 MiB"));
	assert_int_equal(web_config__read(&c, "/", &e), -1);
}

static void test_listen(void **state)
{
	static const char *const bad[] = {
		"", ":", "host", "host:", "host:x", ":70000", ":123456", "::1:80", "[::1:80", "::1]:80",
		"[]:80", "[[::1]]:80", "host:-1", "host:+1", "host: 1", "host:1 ", ":4294967376",
	};
	struct listen_address a;
	size_t i;

	assert_true(listen__parse(&a, "127.0.0.1:10046"));
	assert_string_equal(a.host, "127.0.0.1");
	assert_string_equal(a.port, "10046");
	assert_true(listen__parse(&a, ":65535"));
	assert_string_equal(a.host, "");
	assert_true(listen__parse(&a, "[fe80::1%eth0]:1"));
	assert_string_equal(a.host, "fe80::1%eth0");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (listen__parse(&a, bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void test_accept(void **state)
{
	static const struct {
		const char *accept;
		enum exposition_format format;
	} cases[] = {
		{ NULL, EXPOSITION_TEXT },
		{ "", EXPOSITION_TEXT },
		{ "*/*", EXPOSITION_TEXT },
		/* as Prometheus asks */
		{ "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text; version=1.0.0; q=0.4, text/plain;q=0.5", EXPOSITION_TEXT },
		{ "APPLICATION/OpenMetrics-Text", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;version=2.0.0", EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=0", EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=", EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=9", EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=0.001,*/*;q=0", EXPOSITION_OPENMETRICS },
		{ ",;,;;=;q", EXPOSITION_TEXT },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (accept__format(cases[i].accept) != cases[i].format)
			fail_msg("wrong for: %s", cases[i].accept ? cases[i].accept : "NULL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_accept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
