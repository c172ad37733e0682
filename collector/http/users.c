/*
 * users.c - see users.h.
 *
 * An unknown name costs the same hashing as a wrong password, so that the time of an answer does
 * not tell which names exist.
 */
#include "collector/http/users.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base/clock.h"
#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define TOKEN_PREFIX   "blake2b:"
#define DIGEST_BYTES   32
#define REMEMBERED_MAX 256

struct account {
    const char *name; /* the document's */
    const char *role_text;
    const char *secret; /* the hash as written */
    enum http_role role;
    uint8_t digest[DIGEST_BYTES]; /* tokens */
};

struct remembered {
    uint8_t digest[DIGEST_BYTES];
    const struct account *account; /* NULL: free */
    mono_ns until;
};

struct users {
    /* fixed after users_load() */
    struct config *document;
    struct account *people, *machines;
    size_t people_count, machine_count;
    uint8_t memory_key[DIGEST_BYTES];
    atomic_uint references;
    /* under lock */
    pthread_mutex_t lock;
    struct remembered remembered[REMEMBERED_MAX];
    size_t next_slot;
};

static const char *const role_names[] = {"none", "viewer", "operator", "admin", "writer"};
static const char *const role_choices[] = {"viewer", "operator", "admin", "writer", NULL};

const char *role_name(enum http_role role)
{
    return role_names[role];
}

bool role_allows(enum http_role has, enum http_role needs)
{
    if (needs == ROLE_NONE || has == needs)
        return true;
    if (needs == ROLE_WRITER)
        return has == ROLE_ADMIN;
    return has != ROLE_WRITER && has > needs;
}

static enum http_role role_by_name(const char *name)
{
    enum http_role role = ROLE_VIEWER;
    while (strcmp(role_names[role], name) != 0)
        role++;
    return role;
}

static const struct config_option person_options[] = {
    {"name", CONFIG_STRING, offsetof(struct account, name), .required = true,
     .help = "login name"},
    {"role", CONFIG_STRING, offsetof(struct account, role_text), .required = true,
     .choices = role_choices, .help = "what the person may do"},
    {"password_hash", CONFIG_STRING, offsetof(struct account, secret), .required = true,
     .help = "printed by fengsuictl users hash"},
};
static const struct config_option machine_options[] = {
    {"name", CONFIG_STRING, offsetof(struct account, name), .required = true,
     .help = "what the machine is called in the log"},
    {"role", CONFIG_STRING, offsetof(struct account, role_text), .required = true,
     .choices = role_choices, .help = "what the machine may do"},
    {"token_hash", CONFIG_STRING, offsetof(struct account, secret), .required = true,
     .help = "printed by fengsuictl users token"},
};

struct users_file {
    const struct config_node *users, *tokens;
};
static const struct config_option file_options[] = {
    {"users", CONFIG_NODE, offsetof(struct users_file, users), .help = "people"},
    {"tokens", CONFIG_NODE, offsetof(struct users_file, tokens), .help = "machines"},
};

static int check_password_hash(struct users *users, const struct config_node *node,
                               struct account *account, struct diagnosis *why)
{
    if (strncmp(account->secret, crypto_pwhash_STRPREFIX, strlen(crypto_pwhash_STRPREFIX)) != 0 ||
        strlen(account->secret) >= crypto_pwhash_STRBYTES)
        return config_complain(users->document, node, why,
                               "password_hash of \"%s\" is no argon2id hash; make one with: "
                               "fengsuictl users hash",
                               account->name);
    if (strpbrk(account->name, ":") != NULL)
        return config_complain(users->document, node, why, "a login name cannot hold a colon");
    return 0;
}

static int check_token_hash(struct users *users, const struct config_node *node,
                            struct account *account, struct diagnosis *why)
{
    const char *hex = account->secret + strlen(TOKEN_PREFIX);
    size_t size = 0;
    if (strncmp(account->secret, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0 ||
        sodium_hex2bin(account->digest, DIGEST_BYTES, hex, strlen(hex), NULL, &size, NULL) != 0 ||
        size != DIGEST_BYTES || strlen(hex) != 2 * DIGEST_BYTES)
        return config_complain(users->document, node, why,
                               "token_hash of \"%s\" is not \"" TOKEN_PREFIX
                               "\" and 64 hex digits; make one with: fengsuictl users token",
                               account->name);
    return 0;
}

typedef int check_secret(struct users *users, const struct config_node *node,
                         struct account *account, struct diagnosis *why);

static int read_accounts(struct users *users, const struct config_node *list, const char *where,
                         const struct config_option *options, check_secret *check,
                         struct account **ret_accounts, size_t *ret_count,
                         struct diagnosis *why)
{
    if (list == NULL || (list->kind == CONFIG_SCALAR && list->text[0] == '\0'))
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(users->document, list, why, "%s must be a list", where);
    struct account *accounts = calloc(list->count + 1, sizeof *accounts);
    if (accounts == NULL)
        return ERR_NOMEM;
    *ret_accounts = accounts;
    *ret_count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        struct account *account = &accounts[i];
        const struct config_node *node = list->children[i];
        int error = config_read(users->document, node, where, options, 3, account, why);
        if (error == 0)
            error = check(users, node, account, why);
        if (error != 0)
            return error;
        account->role = role_by_name(account->role_text);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(accounts[k].name, account->name) == 0)
                return config_complain(users->document, node, why, "\"%s\" is there twice",
                                       account->name);
        }
    }
    return 0;
}

static int read_file(struct users *users, const char *path, struct diagnosis *why)
{
    int error = config_load(path, &users->document, why);
    if (error != 0)
        return error;
    struct users_file file = {0};
    error = config_read(users->document, config_root(users->document), "", file_options, 2, &file,
                        why);
    if (error == 0)
        error = read_accounts(users, file.users, "users", person_options, check_password_hash,
                              &users->people, &users->people_count, why);
    if (error == 0)
        error = read_accounts(users, file.tokens, "tokens", machine_options, check_token_hash,
                              &users->machines, &users->machine_count, why);
    if (error == 0 && users->people_count + users->machine_count == 0)
        error = diagnose(why, ERR_INVALID, "%s: neither users nor tokens: nobody could log in",
                         path);
    return error;
}

int users_load(const char *path, struct users **ret_users, struct diagnosis *why)
{
    if (sodium_init() < 0)
        return diagnose(why, ERR_IO, "libsodium could not be set up");
    struct users *users = calloc(1, sizeof *users);
    if (users == NULL)
        return ERR_NOMEM;
    atomic_init(&users->references, 1);
    must(pthread_mutex_init(&users->lock, NULL) == 0);
    randombytes_buf(users->memory_key, sizeof users->memory_key);
    int error = read_file(users, path, why);
    if (error != 0) {
        users_unref(users);
        return error;
    }
    *ret_users = users;
    return 0;
}

struct users *users_ref(struct users *users)
{
    atomic_fetch_add(&users->references, 1);
    return users;
}

void users_unref(struct users *users)
{
    if (users == NULL || atomic_fetch_sub(&users->references, 1) != 1)
        return;
    config_free(users->document);
    free(users->people);
    free(users->machines);
    pthread_mutex_destroy(&users->lock);
    sodium_memzero(users, sizeof *users);
    free(users);
}

/* "Basic x" or "Bearer x": what follows the scheme, or NULL. */
static const char *after_scheme(const char *authorization, const char *scheme)
{
    size_t size = strlen(scheme);
    if (strncasecmp(authorization, scheme, size) != 0 || authorization[size] != ' ')
        return NULL;
    authorization += size;
    while (*authorization == ' ')
        authorization++;
    return authorization;
}

const char *users_bearer(const char *authorization)
{
    return strlen(authorization) > USERS_HEADER_BYTES_MAX ? NULL
                                                          : after_scheme(authorization, "Bearer");
}

/* Decodes base64(name:password) in place of the caller's buffer; the password or NULL. */
static char *split_basic(const char *credentials, char *text, size_t capacity)
{
    size_t size = 0;
    if (sodium_base642bin((unsigned char *)text, capacity - 1, credentials, strlen(credentials),
                          NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return NULL;
    text[size] = '\0';
    char *colon = memchr(text, ':', size);
    if (colon == NULL || strlen(text) != size)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static void digest_of(const char *text, const uint8_t *key, uint8_t digest[DIGEST_BYTES])
{
    must(crypto_generichash(digest, DIGEST_BYTES, (const unsigned char *)text, strlen(text), key,
                            key != NULL ? DIGEST_BYTES : 0) == 0);
}

static enum verdict allow(const struct account *account, struct identity *ret_identity)
{
    *ret_identity = (struct identity){account->name, account->role};
    return VERDICT_ALLOWED;
}

static enum verdict check_token(const struct users *users, const char *token,
                                struct identity *ret_identity)
{
    uint8_t digest[DIGEST_BYTES];
    digest_of(token, NULL, digest);
    for (size_t i = 0; i < users->machine_count; i++) {
        if (sodium_memcmp(digest, users->machines[i].digest, DIGEST_BYTES) == 0)
            return allow(&users->machines[i], ret_identity);
    }
    return VERDICT_REFUSED;
}

static const struct account *recall(struct users *users, const uint8_t digest[DIGEST_BYTES])
{
    const struct account *account = NULL;
    mono_ns now = clock_mono(&clock_system);
    must(pthread_mutex_lock(&users->lock) == 0);
    for (size_t i = 0; i < REMEMBERED_MAX && account == NULL; i++) {
        const struct remembered *slot = &users->remembered[i];
        if (slot->account != NULL && now < slot->until &&
            sodium_memcmp(slot->digest, digest, DIGEST_BYTES) == 0)
            account = slot->account;
    }
    must(pthread_mutex_unlock(&users->lock) == 0);
    return account;
}

static void remember(struct users *users, const uint8_t digest[DIGEST_BYTES],
                     const struct account *account)
{
    must(pthread_mutex_lock(&users->lock) == 0);
    struct remembered *slot = &users->remembered[users->next_slot++ % REMEMBERED_MAX];
    memcpy(slot->digest, digest, DIGEST_BYTES);
    slot->account = account;
    slot->until = clock_mono(&clock_system) + (mono_ns)USERS_REMEMBER_MS * NS_PER_MS;
    must(pthread_mutex_unlock(&users->lock) == 0);
}

enum verdict users_check(struct users *users, const char *authorization,
                         struct identity *ret_identity)
{
    if (strlen(authorization) > USERS_HEADER_BYTES_MAX)
        return VERDICT_REFUSED;
    const char *token = after_scheme(authorization, "Bearer");
    if (token != NULL)
        return check_token(users, token, ret_identity);
    if (after_scheme(authorization, "Basic") == NULL)
        return VERDICT_REFUSED;
    uint8_t digest[DIGEST_BYTES];
    digest_of(authorization, users->memory_key, digest);
    const struct account *account = recall(users, digest);
    return account != NULL ? allow(account, ret_identity) : VERDICT_UNSURE;
}

enum verdict users_verify(struct users *users, const char *authorization,
                          struct identity *ret_identity)
{
    enum verdict verdict = users_check(users, authorization, ret_identity);
    if (verdict != VERDICT_UNSURE)
        return verdict;
    char text[USERS_HEADER_BYTES_MAX];
    const char *password =
        split_basic(after_scheme(authorization, "Basic"), text, sizeof text);
    if (password == NULL || users->people_count == 0)
        return VERDICT_REFUSED;
    const struct account *account = NULL;
    for (size_t i = 0; i < users->people_count; i++) {
        if (strcmp(users->people[i].name, text) == 0)
            account = &users->people[i];
    }
    const char *hash = account != NULL ? account->secret : users->people[0].secret;
    bool is_right = crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
    sodium_memzero(text, sizeof text);
    if (!is_right || account == NULL)
        return VERDICT_REFUSED;
    uint8_t digest[DIGEST_BYTES];
    digest_of(authorization, users->memory_key, digest);
    remember(users, digest, account);
    return allow(account, ret_identity);
}

void users_claimed_name(const char *authorization, char *text, size_t size)
{
    char decoded[USERS_HEADER_BYTES_MAX];
    const char *credentials = after_scheme(authorization, "Basic");
    text[0] = '\0';
    if (credentials != NULL && strlen(authorization) <= USERS_HEADER_BYTES_MAX &&
        split_basic(credentials, decoded, sizeof decoded) != NULL)
        snprintf(text, size, "%s", decoded);
    else if (after_scheme(authorization, "Bearer") != NULL)
        snprintf(text, size, "(token)");
    sodium_memzero(decoded, sizeof decoded);
}

int users_hash_password(const char *password, char text[USERS_HASH_BYTES])
{
    _Static_assert(crypto_pwhash_STRBYTES <= USERS_HASH_BYTES, "a hash fits");
    if (sodium_init() < 0)
        return ERR_IO;
    if (crypto_pwhash_str(text, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return ERR_NOMEM;
    return 0;
}

int users_hash_token(const char *token, char text[USERS_HASH_BYTES])
{
    if (sodium_init() < 0)
        return ERR_IO;
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];
    digest_of(token, NULL, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    snprintf(text, USERS_HASH_BYTES, TOKEN_PREFIX "%s", hex);
    return 0;
}

int users_new_token(char text[USERS_HASH_BYTES])
{
    if (sodium_init() < 0)
        return ERR_IO;
    uint8_t secret[DIGEST_BYTES];
    randombytes_buf(secret, sizeof secret);
    sodium_bin2base64(text, USERS_HASH_BYTES, secret, sizeof secret,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return 0;
}
