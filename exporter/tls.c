// SPDX-License-Identifier: GPL-2.0-only
#include "tls.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

static gnutls_datum_t datum(const struct web_file *f)
{
	return (gnutls_datum_t){ (unsigned char *)f->text, (unsigned int)f->len };
}

int tls__check(const struct web_config *c, struct iovab_error *e)
{
	gnutls_datum_t cert = datum(&c->cert), key = datum(&c->key), ca = datum(&c->client_ca);
	gnutls_certificate_credentials_t credentials;
	int err = gnutls_certificate_allocate_credentials(&credentials);

	if (err)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	err = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (err < 0)
		error__set(e, IOVAB_EXIT_USAGE, "cert_file %.150s with key_file %.150s: %s",
			   c->cert.path, c->key.path, gnutls_strerror(err));
	else if (ca.data && gnutls_certificate_set_x509_trust_mem(credentials, &ca,
								   GNUTLS_X509_FMT_PEM) <= 0)
		err = error__set(e, IOVAB_EXIT_USAGE, "client_ca_file %.200s: no certificate in it",
				 c->client_ca.path);
	gnutls_certificate_free_credentials(credentials);
	return err < 0 ? -1 : 0;
}

void tls__priorities(char buf[TLS_PRIORITIES_LEN], const struct web_config *c)
{
	int n = snprintf(buf, TLS_PRIORITIES_LEN, "NORMAL:-VERS-ALL");
	unsigned int v;

	for (v = c->min_version; v <= c->max_version; v++)
		n += snprintf(buf + n, TLS_PRIORITIES_LEN - (size_t)n, ":+VERS-TLS1.%u", v);
	/* what anybody may ask for, but only if it was asked for in the file */
	if (c->min_version < 2)
		snprintf(buf + n, TLS_PRIORITIES_LEN - (size_t)n, ":+SIGN-RSA-SHA1:%%VERIFY_ALLOW_SIGN_WITH_SHA1");
}

static int verify(gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	unsigned int status = 0;
	int err = gnutls_certificate_verify_peers(session, &purpose, 1, &status);

	/* none was shown: where one is demanded, the handshake has ended before */
	if (err == GNUTLS_E_NO_CERTIFICATE_FOUND)
		return 0;
	return err || status ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

void tls__expect_client(gnutls_session_t session, enum web_client_auth auth)
{
	if (auth == WEB_CLIENT_NONE)
		return;
	gnutls_certificate_server_set_request(session,
		auth == WEB_CLIENT_REQUIRE_ANY || auth == WEB_CLIENT_VERIFY ?
		GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
	if (auth >= WEB_CLIENT_VERIFY_IF_GIVEN)
		gnutls_session_set_verify_function(session, verify);
}
