/*
 * keys.h - who may speak: public keys with their standing and bound identity, enrolment tokens.
 *
 *     state rows:   key/ KEY(32)        JSON: standing, job, instance, labels, interval, times
 *                   token/ HASH(32)     JSON: expires_ms, uses_left, labels
 *     A token is kept as its BLAKE2b-256 only; the text of the first one is in
 *     DATA/keys/enrol.token (0600).
 *
 * Identity belongs to the key, not to what a probe says: job, instance and host labels are bound
 * when the key is approved.  A second key that claims a taken instance stays pending.
 *
 * Owner: the ingest thread (under ingest's lock where other threads print).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/store/store.h"
#include "proto/base/diagnosis.h"
#include "proto/wire/curve.h"
#include "proto/wire/envelope.h"

#define PENDING_KEYS_MAX 1000 /* beyond it unknown keys are refused at the handshake */

enum key_standing { KEY_PENDING, KEY_APPROVED, KEY_REVOKED };

struct session;

struct key_entry {
    uint8_t key[CURVE_KEY_BYTES];
    char text[CURVE_TEXT_BYTES]; /* Z85 */
    enum key_standing standing;
    char *job, *instance;        /* bound when approved, asked for while pending */
    struct label *labels;        /* same; malloc'd with their bytes */
    size_t label_count;
    int64_t interval_ms;         /* of the fastest source, as Hello said */
    int64_t first_seen_ms, approved_ms;
    uint64_t source;             /* store_set_absent()'s name for it */
    uint64_t log_stream_id;      /* of the instance */

    /* silence.c */
    int64_t last_tick_ms;        /* newest tick stored */
    uint64_t heard_mono_ns;      /* when a batch was last stored */
    bool absent;
    uint64_t last_epoch;         /* of last_tick_ms, as found at the start */
    bool is_unclaimed;           /* no stream of it was loaded since the start */
    struct series *up;
    uint64_t up_due_mono_ns;

    /* push.c */
    uint64_t policy_version;  /* it should have; 0: there was never one */
    uint64_t policy_hash;     /* of the document */
    uint64_t policy_in_force; /* as the last Hello said */
    uint64_t policy_sent_mono_ns;

    /* what was seen, for `fengsuictl probes` */
    struct session *session;     /* NULL: not connected */
    char software[64];
    char address[64];
    char note[128];              /* why it is pending or was refused last */
    uint64_t refused_batches, duplicate_connections, conflicts, gaps, gap_numbers;
    int64_t last_conflict_ms;
    double clock_offset_seconds, round_trip_seconds;
    uint64_t series_count;
    struct key_entry *next;      /* in its bucket */
};

#define KEY_BUCKETS 4096

struct key_table {
    struct key_entry *buckets[KEY_BUCKETS];
    size_t count, pending_count;
};

/* Loads every row.  ERR_CORRUPT, ERR_NOMEM. */
int keys_load(struct key_table *table, struct store *store, struct diagnosis *why);
void keys_done(struct key_table *table, struct store *store);

struct key_entry *keys_find(const struct key_table *table, const uint8_t key[CURVE_KEY_BYTES]);
struct key_entry *keys_find_instance(const struct key_table *table, const char *job,
                                     const char *instance);
/* Makes a pending entry (not stored: strangers cost no disk).  NULL: out of memory or past
 * PENDING_KEYS_MAX. */
struct key_entry *keys_add_pending(struct key_table *table, const uint8_t key[CURVE_KEY_BYTES],
                                   int64_t now_ms);
/* Calls `each` for every entry. */
void keys_each(const struct key_table *table, void (*each)(void *context, struct key_entry *),
               void *context);

/* What a probe asks for (or an operator gives); replaces the entry's. */
int keys_set_identity(struct key_entry *entry, struct bytes job, struct bytes instance,
                      const struct label *labels, size_t count);

/* Stores a new standing with the identity now in the entry; `token` may be NULL or the row
 * change that goes with it.  Waits for the commit. */
int keys_save(struct key_table *table, struct store *store, struct key_entry *entry,
              enum key_standing standing, int64_t now_ms, const struct store_put *token);

/* Checks a token for these asked labels and yields the row with one use less; memory from
 * arena.  ERR_REFUSED with the reason in `why`. */
int token_spend(struct store *store, struct bytes token, const struct key_entry *entry,
                int64_t now_ms, struct arena *arena, struct store_put *ret_put,
                struct diagnosis *why);
/* Makes and stores a token; *ret_text is malloc'd. */
int token_new(struct store *store, int64_t expires_ms, uint64_t uses,
              const struct label *labels, size_t label_count, char **ret_text);
/* Makes the first token and its file if there is none yet. */
int token_ensure_first(struct store *store, const char *path, int64_t now_ms,
                       struct diagnosis *why);
