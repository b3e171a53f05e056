// SPDX-License-Identifier: GPL-2.0-only
/*
 * The main thread submits, takes and remembers; the worker only turns jobs into
 * done ones. What both touch is the ring of jobs, under its lock: those at
 * [taken, done) are done, those at [done, submitted) wait.
 */
#include "auth.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "privilege.h"

#define MAX_JOBS	16
#define MAX_REMEMBERED	32
#define DIGEST_LEN	32
#define HASH_LEN	61
#define PASSWORD_LEN	1024	/* bcrypt looks at 72 bytes; a header holds no more than this */

struct job {
	void *ticket;
	char hash[HASH_LEN];
	char password[PASSWORD_LEN];
	unsigned char digest[DIGEST_LEN];
	bool known;		/* there is such a user */
	bool right;
};

struct auth {
	pthread_t thread;
	int event_fd;
	unsigned char key[DIGEST_LEN];
	unsigned char remembered[MAX_REMEMBERED][DIGEST_LEN];
	unsigned int n_remembered, next_remembered;
	struct crypt_data *crypt;	/* the worker's own */

	pthread_mutex_t lock;		/* guards what follows */
	pthread_cond_t wanted;
	struct job jobs[MAX_JOBS];
	unsigned int taken, done, submitted;	/* counts; jobs[count % MAX_JOBS] */
	bool stop;
};

/* --- the worker --- */

/* In a time that does not tell how much of it is equal. */
static bool same(const char *a, const char *b, size_t len)
{
	unsigned char differs = 0;
	size_t i;

	for (i = 0; i < len; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return !differs;
}

static bool check(struct auth *a, const struct job *job)
{
	const char *hash = crypt_r(job->password, job->hash, a->crypt);
	bool right = hash && strlen(hash) == HASH_LEN - 1 &&
		     same(hash, job->hash, HASH_LEN - 1);

	explicit_bzero(a->crypt, sizeof(*a->crypt));
	return right & job->known;
}

static void tell(struct auth *a)
{
	__u64 one = 1;

	if (write(a->event_fd, &one, sizeof(one)) < 0)
		return;		/* it is readable already */
}

static void *work(void *arg)
{
	struct auth *a = arg;
	struct iovab_error e;

	setpriority(PRIO_PROCESS, 0, 19);
	if (privilege__drop(&e))
		log__line("%s", e.text);
	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		struct job *job = &a->jobs[a->done % MAX_JOBS];

		if (a->done == a->submitted) {
			pthread_cond_wait(&a->wanted, &a->lock);
			continue;
		}
		/* nobody else touches a job that waits */
		pthread_mutex_unlock(&a->lock);
		job->right = check(a, job);
		explicit_bzero(job->password, sizeof(job->password));
		pthread_mutex_lock(&a->lock);
		a->done++;
		tell(a);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* --- the main thread --- */

struct auth *auth__new(struct iovab_error *e)
{
	struct auth *a = calloc(1, sizeof(*a));
	int err = ENOMEM;

	if (!a)
		goto fail;
	a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->crypt = calloc(1, sizeof(*a->crypt));
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wanted, NULL);
	if (a->event_fd < 0 || !a->crypt)
		goto fail_free;
	if (gnutls_rnd(GNUTLS_RND_KEY, a->key, sizeof(a->key))) {
		err = EIO;
		goto fail_free;
	}
	err = pthread_create(&a->thread, NULL, work, a);
	if (!err)
		return a;
fail_free:
	if (a->event_fd >= 0)
		close(a->event_fd);
	free(a->crypt);
	free(a);
fail:
	error__set(e, IOVAB_EXIT_FAILURE, "cannot start to check passwords: %s", strerror(err));
	return NULL;
}

void auth__free(struct auth *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->wanted);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	close(a->event_fd);
	free(a->crypt);
	explicit_bzero(a, sizeof(*a));
	free(a);
}

int auth__fd(const struct auth *a)
{
	return a->event_fd;
}

/*
 * The hash to check for @user. Without such a user: one that nothing matches, as
 * costly as the costliest. All users are looked at, whoever it is.
 */
static bool find_hash(const struct web_config *c, const char *user, char hash[HASH_LEN])
{
	int cost = 4, costliest = 4;
	bool known = false;
	size_t i;

	for (i = 0; i < c->n_users; i++) {
		cost = web_config__bcrypt_cost(c->users[i].hash);
		if (cost > costliest)
			costliest = cost;
		if (!strcmp(c->users[i].name, user)) {
			memcpy(hash, c->users[i].hash, HASH_LEN);
			known = true;
		}
	}
	if (!known) {
		memset(hash, '0', HASH_LEN - 1);
		hash[HASH_LEN - 1] = '\0';
		memcpy(hash, "$2y$00$", 7);
		hash[4] += costliest / 10;
		hash[5] += costliest % 10;
	}
	return known;
}

static void digest_of(const struct auth *a, const char *user, const char *password,
		      const char *hash, unsigned char digest[DIGEST_LEN])
{
	gnutls_hmac_hd_t hmac;

	memset(digest, 0, DIGEST_LEN);
	if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, a->key, sizeof(a->key)))
		return;
	/* with their NULs: no two can be cut differently */
	gnutls_hmac(hmac, user, strlen(user) + 1);
	gnutls_hmac(hmac, password, strlen(password) + 1);
	gnutls_hmac(hmac, hash, HASH_LEN);
	gnutls_hmac_deinit(hmac, digest);
}

static bool is_remembered(const struct auth *a, const unsigned char digest[DIGEST_LEN])
{
	static const unsigned char none[DIGEST_LEN];
	unsigned int i;

	for (i = 0; i < a->n_remembered; i++)
		if (same((const char *)a->remembered[i], (const char *)digest, DIGEST_LEN))
			return memcmp(digest, none, DIGEST_LEN) != 0;
	return false;
}

bool auth__remembers(const struct auth *a, const struct web_config *c, const char *user,
		     const char *password)
{
	unsigned char digest[DIGEST_LEN];
	char hash[HASH_LEN];

	if (!find_hash(c, user, hash))
		return false;
	digest_of(a, user, password, hash, digest);
	return is_remembered(a, digest);
}

bool auth__submit(struct auth *a, const struct web_config *c, const char *user,
		  const char *password, void *ticket)
{
	struct job *job = NULL;

	pthread_mutex_lock(&a->lock);
	if (a->submitted - a->taken < MAX_JOBS) {
		job = &a->jobs[a->submitted % MAX_JOBS];
		memset(job, 0, sizeof(*job));
		job->ticket = ticket;
		job->known = find_hash(c, user, job->hash);
		snprintf(job->password, sizeof(job->password), "%s", password);
		digest_of(a, user, password, job->hash, job->digest);
		a->submitted++;
		pthread_cond_signal(&a->wanted);
	}
	pthread_mutex_unlock(&a->lock);
	return job != NULL;
}

static void remember(struct auth *a, const unsigned char digest[DIGEST_LEN])
{
	if (is_remembered(a, digest))
		return;
	memcpy(a->remembered[a->next_remembered], digest, DIGEST_LEN);
	a->next_remembered = (a->next_remembered + 1) % MAX_REMEMBERED;
	if (a->n_remembered < MAX_REMEMBERED)
		a->n_remembered++;
}

void *auth__take(struct auth *a, bool *right)
{
	void *ticket = NULL;
	struct job *job;
	__u64 count;

	if (read(a->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return NULL;
	pthread_mutex_lock(&a->lock);
	if (a->taken != a->done) {
		job = &a->jobs[a->taken % MAX_JOBS];
		ticket = job->ticket;
		*right = job->right;
		if (job->right)
			remember(a, job->digest);
		a->taken++;
	}
	pthread_mutex_unlock(&a->lock);
	return ticket;
}
