/*
 * import_series.h - from a sample's text to the store's series, for one import.
 *
 * A series is looked up by the bytes that labels_write() makes of its labels; the line before
 * mostly had the same.  Where metadata lines have said something of a name, its next series is
 * resolved by the store, which then knows it.
 *
 * One owner; no thread.  Series found stay valid as long as the import's ticket of the cache.
 */
#pragma once

#include "collector/http/remote_cache.h"
#include "collector/store/store.h"
#include "proto/exposition/exposition.h"

struct import_series {
    struct store *store;
    struct remote_cache *cache;
    struct label extra[SERIES_LABELS_MAX]; /* ascending by name; texts are the request's */
    size_t extra_count;
    struct buf key;
    struct remote_key last_key;
    struct series *last; /* of last_key, or NULL */
    struct buf told;     /* the name whose metadata the store was last told */
    bool has_news;       /* metadata lines came since */
};

void import_series_init(struct import_series *self, struct store *store,
                        struct remote_cache *cache);
void import_series_done(struct import_series *self);

/* "name=value": a label every series gets.  `text` must outlive it.  ERR_INVALID. */
int import_series_extra(struct import_series *self, const char *text, struct diagnosis *why);

/* A metadata line was read. */
void import_series_metadata(struct import_series *self);

/* ERR_LIMIT (the store's series limit), ERR_INVALID (labels) with `why`; ERR_NOMEM. */
int import_series_find(struct import_series *self, const struct exposition_sample *sample,
                       struct series **ret_series, struct diagnosis *why);
