/*
 * window.h - the samples that are sent next, divided into requests that go out side by side.
 *
 *     begin ──samples in the order of the commits──> end       one window
 *              series id, hashed, modulo shards  ──> shard     one request each
 *
 * A series is always in one shard of a window, and the next window waits for all of this one: so a
 * receiver gets the samples of a series in the order in which they were committed, whatever
 * arrives when.  A window ends where its first shard is full.
 *
 * Places in a shard count what falls to it, sent or not, so that a part of a shard that is
 * acknowledged (cursor.h) is the same part after a restart.
 *
 * One owner; no thread.
 */
#pragma once

#include "collector/remote/encode.h"
#include "collector/remote/feed.h"
#include "collector/remote/series_cache.h"
#include "collector/remote/settings.h"

struct shard {
    struct encode_sample *samples;
    size_t count, capacity, label_bytes;
    uint32_t seen; /* places */
    int64_t newest_ms;
};

struct window {
    struct shard shards[REMOTE_SHARDS_MAX];
    uint32_t shard_count; /* 0: there is no window */
    struct remote_place begin, end;
    uint64_t taken; /* samples, those not sent included */
    /* what of it is not sent, by reason */
    uint64_t dropped_relabel, dropped_age, dropped_unknown;
};

void window_done(struct window *window);

/* Fills the window from `cursor` on.  With cursor->shards set it is the window that was under way
 * before: the same samples in the same shards.  Otherwise into `shards` ones.  It may turn out
 * empty, and yet end behind its beginning: all of it is dropped.  ERR_IO, ERR_NOMEM. */
int window_fill(struct window *window, struct feed *feed, struct series_cache *cache,
                const struct remote_settings *settings, const struct cursor *cursor,
                uint32_t shards, int64_t now_ms);
