/*
 * users.h - who may do what: users.yml, passwords, tokens.
 *
 *     users:
 *       - {name: zhang, role: operator, password_hash: "$argon2id$v=19$m=65536,t=2,p=1$..."}
 *     tokens:
 *       - {name: grafana, role: viewer, token_hash: "blake2b:64 hex digits"}
 *       - {name: prometheus, role: writer, token_hash: "blake2b:..."}
 *
 * People log in by HTTP Basic with a password (argon2id, libsodium's crypto_pwhash_str); machines
 * by Bearer with a random token, of which only the BLAKE2b-256 is kept.  Hashing a password
 * costs tens of milliseconds and 64 MiB by design, so one that was right is remembered for
 * USERS_REMEMBER_MS under a keyed hash of the header; a token is checked at once.
 *
 * Roles: viewer < operator < admin; writer may only write samples and post alerts.
 *
 * Threads: any; users are immutable but for the memory of right passwords (own lock), and counted
 * references, because a request may outlive a reload.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/http/server.h"
#include "proto/base/diagnosis.h"

#define USERS_REMEMBER_MS      (5 * 60 * 1000)
#define USERS_HEADER_BYTES_MAX 2048

struct users;

struct identity {
    const char *name; /* lives as long as the users */
    enum http_role role;
};

enum verdict {
    VERDICT_ALLOWED,
    VERDICT_REFUSED, /* nobody, or wrong */
    VERDICT_UNSURE,  /* a password that must be hashed: users_verify(), off the loop */
};

/* Reads users.yml.  The error names file, line, key, reason.  The caller holds one reference. */
int users_load(const char *path, struct users **ret_users, struct diagnosis *why);
struct users *users_ref(struct users *users);
void users_unref(struct users *users); /* NULL is allowed */

/* Looks at an Authorization header ("" if absent) without hashing a password. */
enum verdict users_check(struct users *users, const char *authorization,
                         struct identity *ret_identity);
/* The same with hashing; slow.  Never VERDICT_UNSURE. */
enum verdict users_verify(struct users *users, const char *authorization,
                          struct identity *ret_identity);
/* The token of a Bearer header; NULL: it is none. */
const char *users_bearer(const char *authorization);
/* The name an Authorization header claims, for the log; "" if there is none. */
void users_claimed_name(const char *authorization, char *text, size_t size);

bool role_allows(enum http_role has, enum http_role needs);
const char *role_name(enum http_role role);

#define USERS_HASH_BYTES 160
/* For `fengsuictl users`: what goes into password_hash and token_hash. */
int users_hash_password(const char *password, char text[USERS_HASH_BYTES]);
int users_hash_token(const char *token, char text[USERS_HASH_BYTES]);
/* A fresh random token, 43 URL-safe characters. */
int users_new_token(char text[USERS_HASH_BYTES]);
