/* tls.c - see tls.h. */
#include "collector/http/tls.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/file.h"

#define CHAIN_MAX       16
#define PEM_BYTES_MAX   ((size_t)1 << 20)
#define KEY_ID_BYTES    64

struct generation {
    struct generation *older;
    char *certificate_text, *key_text;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
};

struct tls {
    char *certificate_path, *key_path;
    struct generation *current;
};

static void free_text(char *text)
{
    if (text != NULL)
        gnutls_memset(text, 0, strlen(text));
    free(text);
}

static void generation_free(struct generation *generation)
{
    if (generation == NULL)
        return;
    for (unsigned i = 0; i < generation->count; i++)
        gnutls_pcert_deinit(&generation->chain[i]);
    if (generation->key != NULL)
        gnutls_privkey_deinit(generation->key);
    free(generation->certificate_text);
    free_text(generation->key_text);
    free(generation);
}

static gnutls_datum_t datum_of(char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

static int import_pair(const struct tls *tls, struct generation *generation,
                       struct diagnosis *why)
{
    gnutls_datum_t certificate = datum_of(generation->certificate_text);
    gnutls_datum_t key = datum_of(generation->key_text);
    unsigned count = CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(generation->chain, &count, &certificate,
                                                 GNUTLS_X509_FMT_PEM, 0);
    if (code < 0)
        return diagnose(why, ERR_INVALID, "%s: no certificate chain in PEM: %s",
                        tls->certificate_path, gnutls_strerror(code));
    generation->count = count;
    code = gnutls_privkey_init(&generation->key);
    if (code >= 0)
        code = gnutls_privkey_import_x509_raw(generation->key, &key, GNUTLS_X509_FMT_PEM, NULL,
                                              0);
    if (code < 0)
        return diagnose(why, ERR_INVALID, "%s: no private key in PEM: %s", tls->key_path,
                        gnutls_strerror(code));
    return 0;
}

/* The key must be the first certificate's. */
static int check_pair(const struct tls *tls, const struct generation *generation,
                      struct diagnosis *why)
{
    unsigned char ours[KEY_ID_BYTES];
    unsigned char theirs[KEY_ID_BYTES];
    size_t ours_size = sizeof ours;
    size_t theirs_size = sizeof theirs;
    gnutls_pubkey_t key = NULL;
    int code = gnutls_pubkey_init(&key);
    if (code >= 0)
        code = gnutls_pubkey_import_privkey(key, generation->key, 0, 0);
    if (code >= 0)
        code = gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ours, &ours_size);
    if (code >= 0)
        code = gnutls_pubkey_get_key_id(generation->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256,
                                        theirs, &theirs_size);
    if (key != NULL)
        gnutls_pubkey_deinit(key);
    if (code < 0 || ours_size != theirs_size || memcmp(ours, theirs, ours_size) != 0)
        return diagnose(why, ERR_INVALID, "%s is not the key of %s", tls->key_path,
                        tls->certificate_path);
    return 0;
}

static int generation_load(const struct tls *tls, struct generation **ret_generation,
                           struct diagnosis *why)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL)
        return ERR_NOMEM;
    int error = file_read_whole(tls->certificate_path, PEM_BYTES_MAX,
                                &generation->certificate_text, NULL, why);
    if (error == 0)
        error = file_read_secret(tls->key_path, PEM_BYTES_MAX, &generation->key_text, why);
    if (error == 0)
        error = import_pair(tls, generation, why);
    if (error == 0)
        error = check_pair(tls, generation, why);
    if (error != 0) {
        generation_free(generation);
        return error;
    }
    *ret_generation = generation;
    return 0;
}

int tls_reload(struct tls *tls, struct diagnosis *why)
{
    struct generation *fresh = NULL;
    int error = generation_load(tls, &fresh, why);
    if (error != 0)
        return error;
    struct generation *current = tls->current;
    if (current != NULL && strcmp(current->certificate_text, fresh->certificate_text) == 0 &&
        strcmp(current->key_text, fresh->key_text) == 0) {
        generation_free(fresh);
        return 0;
    }
    fresh->older = current;
    tls->current = fresh;
    return 0;
}

int tls_open(const char *certificate_path, const char *key_path, struct tls **ret_tls,
             struct diagnosis *why)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return ERR_NOMEM;
    tls->certificate_path = strdup(certificate_path);
    tls->key_path = strdup(key_path);
    int error = tls->certificate_path == NULL || tls->key_path == NULL ? ERR_NOMEM : 0;
    if (error == 0)
        error = tls_reload(tls, why);
    if (error != 0) {
        tls_close(tls);
        return error;
    }
    *ret_tls = tls;
    return 0;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    while (tls->current != NULL) {
        struct generation *generation = tls->current;
        tls->current = generation->older;
        generation_free(generation);
    }
    free(tls->certificate_path);
    free(tls->key_path);
    free(tls);
}

void tls_current(const struct tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_count,
                 gnutls_privkey_t *ret_key)
{
    *ret_chain = tls->current->chain;
    *ret_count = tls->current->count;
    *ret_key = tls->current->key;
}
