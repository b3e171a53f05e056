// SPDX-License-Identifier: GPL-2.0-only
/*
 * libyaml makes a tree of the text; here each mapping of it is held against a
 * table of the keys that it may have. Aliases are references in that tree and
 * are not followed beyond the depth of the tables, so no text can blow it up.
 */
#include "web_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "text.h"

#define FILE_MAX	(1024 * 1024)

struct reading {
	struct web_config *config;
	const char *path;
	yaml_document_t *doc;
	struct iovab_error *e;
};

struct key {
	const char *name;	/* NULL ends the table */
	int (*set)(struct reading *r, yaml_node_t *value);
	const char *refusal;	/* why it is not taken; NULL: it is */
};

/* --- errors --- */

static int refuse(struct reading *r, const yaml_node_t *at, const char *what, const char *word)
{
	char safe[TEXT_ESCAPED_LEN], path[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), word, strlen(word), TEXT_ASCII);
	text__escape(path, sizeof(path), r->path, strlen(r->path), TEXT_ASCII);
	return error__set(r->e, IOVAB_EXIT_USAGE, "%.200s:%zu: %s '%.100s'", path,
			  at->start_mark.line + 1, what, safe);
}

static int refuse_in(struct reading *r, const yaml_node_t *at, const char *key,
		     const char *in, const char *why)
{
	char what[160];

	snprintf(what, sizeof(what), "%s%s%s: %s", in, in[0] ? ": " : "", why, "key");
	return refuse(r, at, what, key);
}

/* --- values --- */

static const char *scalar(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* The text of a scalar; a NUL in it would hide the rest. */
static const char *take_string(struct reading *r, const yaml_node_t *n, const char *what)
{
	const char *s = scalar(n);

	if (s && s[0] && strlen(s) == n->data.scalar.length)
		return s;
	refuse(r, n, "a text is wanted for", what);
	return NULL;
}

static char *copy(struct reading *r, const char *s)
{
	char *c = strdup(s);

	if (!c)
		error__set(r->e, IOVAB_EXIT_FAILURE, "out of memory");
	return c;
}

/* Paths are relative to the folder of the configuration file. */
static int take_path(struct reading *r, const yaml_node_t *n, const char *what, char **path)
{
	const char *s = take_string(r, n, what), *slash = strrchr(r->path, '/');

	if (!s)
		return -1;
	if (s[0] == '/' || !slash)
		*path = copy(r, s);
	else if (asprintf(path, "%.*s/%s", (int)(slash - r->path), r->path, s) < 0)
		*path = NULL;
	return *path ? 0 : error__set(r->e, IOVAB_EXIT_FAILURE, "out of memory");
}

/* Goes through a mapping; @in names it in errors. */
static int take_mapping(struct reading *r, yaml_node_t *n, const char *in, const struct key *keys)
{
	yaml_node_pair_t *p;
	unsigned long seen = 0;
	size_t i;

	/* an empty one is written as nothing */
	if (scalar(n) && !n->data.scalar.length)
		return 0;
	if (n->type != YAML_MAPPING_NODE)
		return refuse(r, n, "keys and values are wanted in", in[0] ? in : "the file");
	for (p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
		yaml_node_t *value = yaml_document_get_node(r->doc, p->value);
		const char *name = scalar(key);

		for (i = 0; name && keys[i].name && strcmp(name, keys[i].name); i++)
			;
		if (!name || !keys[i].name)
			return refuse_in(r, key, name ? name : "", in, "unknown");
		if (seen & 1UL << i)
			return refuse_in(r, key, name, in, "given twice");
		seen |= 1UL << i;
		if (keys[i].refusal)
			return refuse_in(r, key, name, in, keys[i].refusal);
		if (keys[i].set(r, value))
			return -1;
	}
	return 0;
}

/* --- tls_server_config --- */

static int set_cert(struct reading *r, yaml_node_t *n)
{
	return take_path(r, n, "cert_file", &r->config->cert.path);
}

static int set_key(struct reading *r, yaml_node_t *n)
{
	return take_path(r, n, "key_file", &r->config->key.path);
}

static int set_client_ca(struct reading *r, yaml_node_t *n)
{
	return take_path(r, n, "client_ca_file", &r->config->client_ca.path);
}

static int take_word(struct reading *r, yaml_node_t *n, const char *what,
		     const char *const *words, size_t n_words, unsigned int *index)
{
	const char *s = take_string(r, n, what);
	size_t i;

	if (!s)
		return -1;
	for (i = 0; i < n_words; i++) {
		if (!strcmp(s, words[i])) {
			*index = (unsigned int)i;
			return 0;
		}
	}
	return refuse_in(r, n, s, what, "no such value");
}

static int set_client_auth(struct reading *r, yaml_node_t *n)
{
	static const char *const words[] = {
		[WEB_CLIENT_NONE] = "NoClientCert",
		[WEB_CLIENT_REQUEST] = "RequestClientCert",
		[WEB_CLIENT_REQUIRE_ANY] = "RequireAnyClientCert",
		[WEB_CLIENT_VERIFY_IF_GIVEN] = "VerifyClientCertIfGiven",
		[WEB_CLIENT_VERIFY] = "RequireAndVerifyClientCert",
	};
	unsigned int i = 0;

	if (take_word(r, n, "client_auth_type", words, sizeof(words) / sizeof(words[0]), &i))
		return -1;
	r->config->client_auth = i;
	return 0;
}

static const char *const versions[] = { "TLS10", "TLS11", "TLS12", "TLS13" };

static int set_min_version(struct reading *r, yaml_node_t *n)
{
	return take_word(r, n, "min_version", versions, 4, &r->config->min_version);
}

static int set_max_version(struct reading *r, yaml_node_t *n)
{
	return take_word(r, n, "max_version", versions, 4, &r->config->max_version);
}

static const char not_here[] = "is in the format, but not supported here";

static const struct key tls_keys[] = {
	{ "cert_file", set_cert, NULL },
	{ "key_file", set_key, NULL },
	{ "client_ca_file", set_client_ca, NULL },
	{ "client_auth_type", set_client_auth, NULL },
	{ "min_version", set_min_version, NULL },
	{ "max_version", set_max_version, NULL },
	{ "cipher_suites", NULL, not_here },
	{ "curve_preferences", NULL, not_here },
	{ "prefer_server_cipher_suites", NULL, not_here },
	{ "client_allowed_sans", NULL, not_here },
	{ "cert", NULL, not_here },
	{ "key", NULL, not_here },
	{ "client_ca", NULL, not_here },
	{ NULL, NULL, NULL }
};

static int check_tls(struct reading *r, const yaml_node_t *n)
{
	struct web_config *c = r->config;

	if (!c->cert.path)
		return refuse(r, n, "tls_server_config: missing:", "cert_file");
	if (!c->key.path)
		return refuse(r, n, "tls_server_config: missing:", "key_file");
	if (c->client_auth >= WEB_CLIENT_VERIFY_IF_GIVEN && !c->client_ca.path)
		return refuse(r, n, "tls_server_config: missing for this client_auth_type:",
			      "client_ca_file");
	if (c->client_ca.path && c->client_auth < WEB_CLIENT_VERIFY_IF_GIVEN)
		return refuse(r, n, "tls_server_config: of no use with this client_auth_type:",
			      "client_ca_file");
	if (c->max_version < c->min_version)
		return refuse(r, n, "tls_server_config: below min_version:", "max_version");
	return 0;
}

static int set_tls(struct reading *r, yaml_node_t *n)
{
	if (take_mapping(r, n, "tls_server_config", tls_keys))
		return -1;
	r->config->tls = r->config->cert.path || r->config->key.path ||
			 r->config->client_ca.path || r->config->client_auth;
	return r->config->tls ? check_tls(r, n) : 0;
}

/* --- basic_auth_users --- */

int web_config__bcrypt_cost(const char *hash)
{
	static const char alphabet[] =
		"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	int cost;

	if (strlen(hash) != 60 || hash[0] != '$' || hash[1] != '2' || !strchr("aby", hash[2]) ||
	    hash[3] != '$' || hash[6] != '$' || strspn(hash + 7, alphabet) != 53 ||
	    hash[4] < '0' || hash[4] > '9' || hash[5] < '0' || hash[5] > '9')
		return -1;
	cost = (hash[4] - '0') * 10 + hash[5] - '0';
	return cost < 4 ? -1 : cost;
}

static int add_user(struct reading *r, yaml_node_t *key, yaml_node_t *value)
{
	struct web_config *c = r->config;
	const char *name = take_string(r, key, "a user's name"), *hash;
	struct web_user *u = &c->users[c->n_users];
	int cost;
	size_t i;

	if (!name)
		return -1;
	if (strchr(name, ':'))
		return refuse(r, key, "basic_auth_users: a name cannot hold a colon:", name);
	for (i = 0; i < c->n_users; i++)
		if (!strcmp(c->users[i].name, name))
			return refuse(r, key, "basic_auth_users: given twice:", name);
	hash = take_string(r, value, name);
	if (!hash)
		return -1;
	cost = web_config__bcrypt_cost(hash);
	if (cost < 0)
		return refuse(r, value, "basic_auth_users: no bcrypt hash for", name);
	if (cost > WEB_CONFIG_MAX_COST)
		return refuse(r, value, "basic_auth_users: a bcrypt cost above 14 takes longer than a scrape may last, for",
			      name);
	u->name = copy(r, name);
	u->hash = u->name ? copy(r, hash) : NULL;
	c->n_users += u->name != NULL;
	return u->hash ? 0 : -1;
}

static int set_users(struct reading *r, yaml_node_t *n)
{
	yaml_node_pair_t *p;

	if (scalar(n) && !n->data.scalar.length)
		return 0;
	if (n->type != YAML_MAPPING_NODE)
		return refuse(r, n, "names and hashes are wanted in", "basic_auth_users");
	if (n->data.mapping.pairs.top - n->data.mapping.pairs.start > WEB_CONFIG_MAX_USERS)
		return refuse(r, n, "more than 256 users in", "basic_auth_users");
	r->config->users = calloc(WEB_CONFIG_MAX_USERS, sizeof(*r->config->users));
	if (!r->config->users)
		return error__set(r->e, IOVAB_EXIT_FAILURE, "out of memory");
	for (p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
		if (add_user(r, yaml_document_get_node(r->doc, p->key),
			     yaml_document_get_node(r->doc, p->value)))
			return -1;
	return 0;
}

/* --- http_server_config --- */

/* HTTP/2 is what this server does not do, so not to do it is no demand. */
static int set_http2(struct reading *r, yaml_node_t *n)
{
	const char *s = scalar(n);

	if (s && !strcmp(s, "false"))
		return 0;
	return refuse(r, n, "http_server_config: only 'false' is supported here for", "http2");
}

static const struct key http_keys[] = {
	{ "http2", set_http2, NULL },
	{ "headers", NULL, not_here },
	{ NULL, NULL, NULL }
};

static int set_http(struct reading *r, yaml_node_t *n)
{
	return take_mapping(r, n, "http_server_config", http_keys);
}

static const struct key top_keys[] = {
	{ "tls_server_config", set_tls, NULL },
	{ "basic_auth_users", set_users, NULL },
	{ "http_server_config", set_http, NULL },
	{ "rate_limit", NULL, not_here },
	{ NULL, NULL, NULL }
};

/* --- the text --- */

static int parse_document(struct reading *r, yaml_document_t *doc)
{
	yaml_node_t *root = yaml_document_get_root_node(doc);

	r->doc = doc;
	return root ? take_mapping(r, root, "", top_keys) : 0;	/* an empty file asks for nothing */
}

static int refuse_yaml(struct reading *r, const yaml_parser_t *parser)
{
	char path[TEXT_ESCAPED_LEN];

	text__escape(path, sizeof(path), r->path, strlen(r->path), TEXT_ASCII);
	return error__set(r->e, IOVAB_EXIT_USAGE, "%.200s:%zu: this is no YAML: %.200s", path,
			  parser->problem_mark.line + 1,
			  parser->problem ? parser->problem : "out of memory");
}

int web_config__parse(struct web_config *c, const char *path, const char *text, size_t len,
		      struct iovab_error *e)
{
	struct reading r = { .config = c, .path = path, .e = e };
	yaml_parser_t parser;
	yaml_document_t doc;
	int err;

	c->min_version = 2;
	c->max_version = 3;
	if (!yaml_parser_initialize(&parser))
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		err = parse_document(&r, &doc);
		yaml_document_delete(&doc);
	} else {
		err = refuse_yaml(&r, &parser);
	}
	yaml_parser_delete(&parser);
	return err;
}

/* --- files --- */

static int refuse_file(const char *path, const char *why, struct iovab_error *e)
{
	char safe[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), path, strlen(path), TEXT_ASCII);
	return error__set(e, IOVAB_EXIT_USAGE, "cannot read %.200s: %s", safe, why);
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(fd, buf + len, size - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int read_file(struct web_file *f, struct iovab_error *e)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len;
	int err = 0;

	if (fd < 0)
		return refuse_file(f->path, strerror(errno), e);
	f->text = malloc(FILE_MAX + 1);
	len = f->text ? read_all(fd, f->text, FILE_MAX + 1) : -1;
	if (len < 0 || fstat(fd, &f->stat))
		err = refuse_file(f->path, strerror(errno), e);
	else if (len > FILE_MAX)
		err = refuse_file(f->path, "it is larger than 1 MiB", e);
	close(fd);
	if (err)
		return err;
	f->text[len] = '\0';
	f->len = (size_t)len;
	return 0;
}

int web_config__read(struct web_config *c, const char *path, struct iovab_error *e)
{
	memset(c, 0, sizeof(*c));
	c->self.path = strdup(path);
	if (!c->self.path)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	if (read_file(&c->self, e) ||
	    web_config__parse(c, path, c->self.text, c->self.len, e) ||
	    (c->tls && (read_file(&c->cert, e) || read_file(&c->key, e) ||
			(c->client_ca.path && read_file(&c->client_ca, e))))) {
		web_config__free(c);
		return -1;
	}
	return 0;
}

static void free_file(struct web_file *f)
{
	free(f->path);
	if (f->text)
		explicit_bzero(f->text, f->len);	/* a key may be in it */
	free(f->text);
}

void web_config__free(struct web_config *c)
{
	size_t i;

	free_file(&c->self);
	free_file(&c->cert);
	free_file(&c->key);
	free_file(&c->client_ca);
	for (i = 0; i < c->n_users; i++) {
		free(c->users[i].name);
		free(c->users[i].hash);
	}
	free(c->users);
	memset(c, 0, sizeof(*c));
}

static bool file_changed(const struct web_file *f)
{
	struct stat now;

	if (!f->path || !f->text)
		return false;
	return stat(f->path, &now) || now.st_ino != f->stat.st_ino ||
	       now.st_dev != f->stat.st_dev || now.st_size != f->stat.st_size ||
	       now.st_mtim.tv_sec != f->stat.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != f->stat.st_mtim.tv_nsec;
}

bool web_config__changed(const struct web_config *c)
{
	return file_changed(&c->self) || file_changed(&c->cert) || file_changed(&c->key) ||
	       file_changed(&c->client_ca);
}
