/*
 * silence.h - which alerts are not to be told for a while, and why.
 *
 *              now < starts            starts <= now < ends           ends <= now
 *     set ----> PENDING ------------------> ACTIVE ------------------> EXPIRED --> forgotten
 *                 |        ended by hand: ends = now (and starts)         ^        after
 *                 +-------------------------------------------------------+ SILENCE_KEPT_MS
 *
 * Semantics are Alertmanager's (silence/silence.go): an alert is silenced while every matcher
 * of an active silence holds for its labels.  An update keeps its id only if it changes no more
 * than the future: same matchers; an active one keeps its start; neither start of a pending one
 * nor any end may lie in the past.  Otherwise the old silence ends and a new one is made.
 *
 *     row "notify/silence/<id>"   u8 version (1) | zigzag starts, ends, updated (Unix ms)
 *         | sized created by, comment | varint n, n times: u8 kind | sized name, value
 *
 * Thread: changed on the notify loop under the view lock; read under that lock by any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/matcher.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

#define SILENCE_PREFIX       "notify/silence/"
#define SILENCE_ID_BYTES     37 /* 8-4-4-4-12 hex digits and a NUL */
#define SILENCE_MATCHERS_MAX ((size_t)64)
#define SILENCE_BYTES_MAX    ((size_t)32 << 10) /* of a row: comments are no files */
#define SILENCES_MAX         ((size_t)10000)    /* kept at once, expired ones too */
#define SILENCE_KEPT_MS      ((int64_t)120 * 3600 * 1000)

enum silence_state { SILENCE_PENDING, SILENCE_ACTIVE, SILENCE_EXPIRED };

struct silence {
    char id[SILENCE_ID_BYTES]; /* "" until it is stored first */
    struct matcher **matchers; /* owned */
    size_t matcher_count;
    int64_t starts_ms, ends_ms, updated_ms;
    char *created_by, *comment; /* owned */
};

/* Copies the texts; matchers are added afterwards.  ERR_NOMEM. */
int silence_new(const char *created_by, const char *comment, int64_t starts_ms, int64_t ends_ms,
                struct silence **ret_silence);
/* ERR_INVALID with Alertmanager's words, ERR_LIMIT, ERR_NOMEM. */
int silence_add_matcher(struct silence *silence, enum matcher_kind kind, struct bytes name,
                        struct bytes value, struct diagnosis *why);
void silence_free(struct silence *silence); /* NULL is allowed */

/* A silence that could silence everything, or never, is none: ERR_INVALID with Alertmanager's
 * words; ERR_LIMIT past SILENCE_BYTES_MAX. */
int silence_check(const struct silence *silence, struct diagnosis *why);

enum silence_state silence_state(const struct silence *silence, int64_t now_ms);
const char *silence_state_text(enum silence_state state); /* "pending", "active", "expired" */
bool silence_matches(const struct silence *silence, const struct labels *labels);
/* Is `fresh` an update of `old` that keeps the id? */
bool silence_is_update(const struct silence *old, const struct silence *fresh, int64_t now_ms);
/* A random UUID (version 4).  ERR_IO. */
int silence_make_id(char id[SILENCE_ID_BYTES]);

void silence_write(const struct silence *silence, struct buf *out);
/* ERR_CORRUPT, ERR_NOMEM. */
int silence_read(const char *id, struct bytes row, struct silence **ret_silence);

/* All of them. */
struct silences {
    struct silence **items; /* owned, by id */
    size_t count, capacity;
    uint64_t version; /* goes up with every change, so that what was matched can be kept */
};

/* NULL if there is none. */
struct silence *silences_find(const struct silences *silences, const char *id);
/* Room for one more: silences_put() then cannot fail.  ERR_NOMEM. */
int silences_reserve(struct silences *silences);
/* Takes the silence, in the place of the one with its id. */
void silences_put(struct silences *silences, struct silence *silence);
void silences_remove(struct silences *silences, const char *id);
void silences_free(struct silences *silences);

/* The silences that may mute one set of labels, kept until they change. */
struct muting {
    uint64_t version;                /* 0: never looked */
    const struct silence **silences; /* owned array; pending or active when looked at */
    size_t count;
};

/* Looks again if silences have changed since.  ERR_NOMEM (nothing changes). */
int muting_refresh(struct muting *muting, const struct silences *silences,
                   const struct labels *labels, int64_t now_ms);
/* Is one of them active?  After a refresh. */
bool muting_is_active(const struct muting *muting, int64_t now_ms);
void muting_done(struct muting *muting);
