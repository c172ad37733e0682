/*
 * sender.h - one receiver: a thread that brings it everything committed, once.
 *
 *     cursor ──feed──> window ──requests side by side──> acknowledged? ──> cursor, committed
 *        ^                          | 429, 5xx, silence: again, after a pause     |
 *        |                          | 413: again, in halves                       |
 *        |                          | other 4xx: counted, set aside (refused.h)   |
 *        └────────────────────── the next window, not before ──────────────────────┘
 *
 * The thread owns the transfers, the feed and the cursor; nothing waits for it but its own end.
 * What is under way is bounded: one window of at most max_shards x max_samples_per_send samples.
 * While the disk takes commits a window begins only when the cursor behind the one before it is
 * durable: a crash repeats what was not acknowledged, and of what was, only requests whose
 * acknowledgement had not been committed yet, which is at most the window under way.
 *
 * Threads: sender_start(), _stop() and _free() the main one's; the rest any.
 */
#pragma once

#include "collector/remote/cursor.h"
#include "collector/remote/settings.h"
#include "collector/remote/spill.h"
#include "collector/store/store.h"

#define SENDER_ERROR_BYTES 512

struct sender;

struct sender_status {
    char name[REMOTE_NAME_BYTES_MAX + 1];
    bool is_failing; /* the last try was not taken */
    char error[SENDER_ERROR_BYTES];  /* why not; "": it never was so */
    char refusal[SENDER_ERROR_BYTES]; /* the newest answer that refused samples for good */
    uint64_t pending_samples, shards;
    uint64_t sent, retried, refused, dropped_relabel, dropped_age, dropped_unknown;
    uint64_t lost_samples, lost_commits;
    uint64_t requests, request_failures, requests_split, bytes_sent, metadata_sent;
    int64_t newest_sent_ms; /* sample time; 0: none since the start */
    int64_t lag_ms; /* everything committed so long ago, and earlier, is acknowledged */
    bool speaks_v2;
};

struct sender_options {
    struct store *store;
    struct spill *spill;
    const char *directory;           /* DATA/remote */
    const char *config_name;         /* files in the entry are relative to this one */
    const struct config_node *entry; /* of remote_write; copied */
    struct cursor cursor;            /* as it is stored */
};

/* ERR_INVALID with `why`, ERR_NOMEM. */
int sender_start(const struct sender_options *options, struct sender **ret_sender,
                 struct diagnosis *why);
/* Asks the thread to end; what is under way gets a second to be answered. */
void sender_ask_to_stop(struct sender *sender);
/* Waits for its end, the last cursor committed. */
void sender_join(struct sender *sender);
void sender_free(struct sender *sender); /* joined; NULL is allowed */

const char *sender_name(const struct sender *sender);
/* Is it the same entry, word by word? */
bool sender_is_of(const struct sender *sender, const struct config_node *entry);
/* Everything before this commit is acknowledged, and that is durable. */
uint64_t sender_needs_from(struct sender *sender);
/* Samples it had yet to send are gone. */
void sender_note_lost(struct sender *sender, uint64_t samples);
void sender_get_status(struct sender *sender, struct sender_status *ret_status);
